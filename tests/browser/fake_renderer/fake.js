// Speaks the renderer's side of the bridge and keeps what it hears, for tests of the host page.
const heard = [];
window.heard = heard;
window.born = performance.timeOrigin;
const say = (message) => parent.postMessage({ citymap: 1, ...message }, location.origin);
window.say = say;
addEventListener("message", (event) => {
  if (event.origin !== location.origin || event.source !== parent) return;
  heard.push(event.data);
  document.getElementById("log").textContent = heard
    .map((m) => JSON.stringify(m).slice(0, 110)).join("\n");
});
say({ type: "ready" });

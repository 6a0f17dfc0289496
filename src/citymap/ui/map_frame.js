// The bridge between a Streamlit page and the renderer in an iframe: the frame is made once, later
// runs only send what changed. Both sides speak to their own origin alone.
const bridges = new WeakMap();
const CHANNELS = ["lang", "panel", "deck", "own", "filter", "colour", "highlight", "people"];
const STEERED = ["own", "filter", "colour"]; // a new description puts these back: they are sent again
const LAST_PLACES = 20;

/** Calls back once the page has not changed for a quarter of a second, or after two seconds. */
function whenSettled(then) {
  let quiet;
  const done = () => {
    clearTimeout(quiet);
    clearTimeout(latest);
    watch.disconnect();
    then();
  };
  const latest = setTimeout(done, 2000);
  const again = () => {
    clearTimeout(quiet);
    quiet = setTimeout(done, 250);
  };
  const watch = new MutationObserver(again);
  watch.observe(document.body, { childList: true, subtree: true });
  again();
}

function open(parent, url, title) {
  const frame = document.createElement("iframe");
  // The page's own words come first: drawing a city keeps the thread they share busy for seconds.
  whenSettled(() => { frame.src = url; });
  frame.title = title;
  frame.allow = "geolocation; fullscreen";
  frame.style.cssText = "position:absolute;inset:0;width:100%;height:100%;border:0";
  parent.querySelector(".frame").append(frame);
  const bridge = { frame, ready: false, sent: new Map(), wanted: {}, set: null, trigger: null,
    since: String(Date.now()), count: 0, places: [] };
  bridge.listen = (event) => {
    if (event.origin !== location.origin || event.source !== frame.contentWindow) return;
    const message = event.data;
    if (!message || message.citymap !== 1) return;
    if (message.type === "ready") {
      bridge.ready = true;
      bridge.sent.clear();
      flush(bridge);
    } else if (message.type === "click") {
      // A run of the page that another press overtakes never hears of its own: each tells the last ones too.
      bridge.count += 1;
      bridge.places = [...bridge.places, [message.lon, message.lat]].slice(-LAST_PLACES);
      bridge.trigger("click", { row: message.row, gml_id: message.gml_id, lon: message.lon,
        lat: message.lat, layer: message.layer, properties: message.properties,
        since: bridge.since, count: bridge.count, places: bridge.places });
    } else if (message.type === "view") {
      bridge.set("view", { bounds: message.bounds, zoom: message.zoom });
    } else if (message.type === "error") {
      bridge.set("error", String(message.message).slice(0, 300));
    }
  };
  addEventListener("message", bridge.listen);
  return bridge;
}

function flush(bridge) {
  if (!bridge.ready) return;
  for (const channel of CHANNELS) {
    const value = bridge.wanted[channel];
    if (value === undefined || value === null) continue;
    const text = JSON.stringify(value);
    if (bridge.sent.get(channel) === text) continue;
    bridge.sent.set(channel, text);
    if (channel === "deck") for (const name of STEERED) bridge.sent.delete(name);
    const message = { citymap: 1, type: channel, ...value };
    bridge.frame.contentWindow.postMessage(message, location.origin);
  }
}

export default function (component) {
  const { parentElement, data, setStateValue, setTriggerValue } = component;
  let bridge = bridges.get(parentElement);
  if (!bridge) {
    bridge = open(parentElement, data.url, data.title);
    bridges.set(parentElement, bridge);
  }
  if (data.height) parentElement.querySelector(".frame").style.height = data.height;
  bridge.set = setStateValue;
  bridge.trigger = setTriggerValue;
  bridge.wanted = data;
  flush(bridge);
  return () => {
    // Also called for a run that a newer one overtook: the frame must survive that.
    if (parentElement.isConnected) return;
    removeEventListener("message", bridge.listen);
    bridges.delete(parentElement);
  };
}

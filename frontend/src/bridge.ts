/** Messages between this page and the page that frames it: same origin, known shape. */
export type Incoming = {citymap: 1; type: string; [key: string]: unknown};

export class Bridge {
  readonly framed = window.parent !== window;

  constructor(private readonly receive: (message: Incoming) => void) {
    if (this.framed) addEventListener('message', (e) => this.onMessage(e));
  }

  private onMessage(event: MessageEvent): void {
    if (accepts(event, location.origin, window.parent)) this.receive(event.data as Incoming);
  }

  send(type: string, values: Record<string, unknown> = {}): void {
    if (this.framed) window.parent.postMessage({citymap: 1, type, ...values}, location.origin);
  }
}

/** Whether a message comes from the framing page of our own origin and speaks our protocol. */
export function accepts(
  event: {origin: string; source: unknown; data: unknown}, origin: string, parent: unknown
): boolean {
  const data = event.data as {citymap?: unknown; type?: unknown} | null;
  return (
    event.origin === origin && event.source === parent &&
    typeof data === 'object' && data !== null && data.citymap === 1 && typeof data.type === 'string'
  );
}

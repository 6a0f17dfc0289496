/** What is live: the order and the openings, believed only while they are fresh. */
export type Opening = {state: 'open' | 'full' | 'closed' | 'unknown'; head_count: number | null; at: string | null};
export type Order = {
  mode: 'normal' | 'disaster' | 'drill'; level: number | null; hazard: string;
  districts: {id: string; name: string}[]; message: Record<string, string>; since: string | null;
};
export type Released = {release: string; scenario: string; start: string; margin_min: number; drill: boolean};
export type Gauge = {
  station_id: string; name: string; river: string; kind: 'river' | 'inundation'; lon: number | null; lat: number | null;
  state: 'unknown' | 'unrated' | 'below' | 'standby' | 'caution' | 'evacuation' | 'danger'; value_m: number | null; rise_m_h: number | null;
  observed_at: string | null; fresh_until: string | null; by_staff: boolean;
};
export type Warned = {hazard: string; area: string; state: 'in_force' | 'unknown'; level: number | null; name: string | null; last_level: number | null; last_name: string | null; at: string};
export type Warnings = {known: boolean; checked_at: string | null; fresh_until: string | null; items: Warned[]};
export type Status = {water?: Gauge[] | null; warnings?: Warnings | null; order: Order; leave_by?: Released | null; openings: Record<string, Opening>; closures: unknown[] | null; as_of: string; max_age_s: number};
type Heard = {status: Status; ageAtHearing: number; heardAt: number};

const AHEAD_S = 120; // a moment in the future beyond this is a wrong clock, and nothing is known

/** Its age in seconds: by the server's own clock where it told the time, so that a wrong clock here does no
 * harm; what a cache in between has kept it for (`held`, the header Age) counts too. */
export function ageOf(asOf: string, date: string | null, now: number, held: string | null = null): number {
  const told = date === null ? NaN : Date.parse(date);
  const kept = Number(held ?? 0);
  return ((Number.isNaN(told) ? now : told) - Date.parse(asOf)) / 1000 + (Number.isFinite(kept) ? Math.max(0, kept) : 0);
}

/** Whether every part that a page reads is there: half an order must never pass for none. */
export function understood(told: unknown): told is Status {
  const s = told as Partial<Status> | null;
  return !!s && !Number.isNaN(Date.parse(s.as_of ?? '')) && Number.isFinite(s.max_age_s) && !!s.openings && typeof s.openings === 'object'
    && !!s.order && ['normal', 'disaster', 'drill'].includes(s.order.mode) && Array.isArray(s.order.districts)
    && !!s.order.message && typeof s.order.message === 'object';
}

export class Live {
  private heard: Heard | null = null;

  constructor(private readonly url: URL, private readonly clock: () => number = () => performance.now()) {}

  /** Ask anew; what cannot be had or understood leaves nothing that is known. */
  async refresh(): Promise<void> {
    try {
      const answer = await fetch(this.url, {cache: 'no-store'});
      if (!answer.ok) throw new Error(String(answer.status));
      const status = (await answer.json()) as Status;
      if (!understood(status)) throw new Error('not a status');
      this.hear(status, ageOf(status.as_of, answer.headers.get('date'), Date.now(), answer.headers.get('age')));
    } catch {
      // What was heard before is kept as long as it is fresh.
    }
  }

  hear(status: Status, age: number): void {
    this.heard = {status, ageAtHearing: age, heardAt: this.clock()};
  }

  /** The status, or null: not known. */
  get now(): Status | null {
    if (!this.heard) return null;
    const age = this.heard.ageAtHearing + (this.clock() - this.heard.heardAt) / 1000;
    return age >= -AHEAD_S && age <= this.heard.status.max_age_s ? this.heard.status : null;
  }

  /** The moment now, by the server's clock where it was heard. */
  get clockMs(): number {
    const heard = this.heard;
    return heard ? Date.parse(heard.status.as_of) + heard.ageAtHearing * 1000 + (this.clock() - heard.heardAt) : Date.now();
  }

  /** What time it is (ms) by the clock of the one who told the status; the own clock where nobody did. */
  get moment(): number {
    if (!this.heard) return Date.now();
    return Date.parse(this.heard.status.as_of) + this.heard.ageAtHearing * 1000 + (this.clock() - this.heard.heardAt);
  }

  opening(place: string): Opening {
    return this.now?.openings[place] ?? {state: 'unknown', head_count: null, at: null};
  }
}

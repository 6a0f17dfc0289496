import {afterEach, beforeEach, expect, test, vi} from 'vitest';

import {PlaybackClock, sayClock} from '../src/playback_clock';

const MOMENTS = [0, 1, 2, 3];
let beats: ((now: number) => void)[] = [];

beforeEach(() => {
  beats = [];
  vi.stubGlobal('requestAnimationFrame', (beat: (now: number) => void) => beats.push(beat));
  vi.stubGlobal('cancelAnimationFrame', () => (beats = []));
});
afterEach(() => vi.unstubAllGlobals());

/** Frames of the screen, 200 ms apart. */
function run(from: number, count: number): number {
  for (let i = 0; i < count; i++) {
    const due = beats;
    beats = [];
    for (const beat of due) beat((from += 200));
  }
  return from;
}

test('it runs from the first to the last moment, says so and stops there', () => {
  const clock = new PlaybackClock({moments: MOMENTS});
  const seen: number[] = [];
  clock.on((s) => seen.push(s.hours));
  clock.play();
  run(1000, 2);
  expect(clock.state.hours).toBeCloseTo((0.2 / 24) * 3);
  run(1400, 200);
  expect(clock.state).toMatchObject({hours: 3, playing: false});
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  clock.play();
  expect(clock.state.hours).toBe(0);
});

test('speed, seeking beyond the ends and steps', () => {
  const clock = new PlaybackClock({moments: MOMENTS});
  clock.speed(4);
  clock.play();
  run(1000, 2);
  expect(clock.state.hours).toBeCloseTo((0.8 / 24) * 3);
  clock.seek(9);
  expect(clock.state.hours).toBe(3);
  clock.seek(1.4);
  clock.step(1);
  expect(clock.state).toMatchObject({hours: 2, playing: false});
  clock.step(-1);
  expect(clock.state.hours).toBe(1);
});

test('it waits for what has not arrived', () => {
  let there = false;
  const clock = new PlaybackClock({moments: MOMENTS, ready: (h) => there || h < 0.05});
  clock.play();
  const at = run(1000, 10);
  expect(clock.state.waiting).toBe(true);
  expect(clock.state.hours).toBeLessThan(0.05);
  there = true;
  run(at, 10);
  expect(clock.state.waiting).toBe(false);
  expect(clock.state.hours).toBeGreaterThan(0.05);
});

test('without motion it goes from moment to moment', () => {
  const clock = new PlaybackClock({moments: MOMENTS, stepped: true});
  const seen = new Set<number>();
  clock.on((s) => seen.add(s.hours));
  clock.play();
  run(1000, 300);
  expect([...seen]).toEqual(MOMENTS);
});

test('hours as a clock says them', () => {
  expect([0, 0.5, 1.999, 12.25].map(sayClock)).toEqual(['0:00', '0:30', '2:00', '12:15']);
});

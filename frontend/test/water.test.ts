import {expect, test} from 'vitest';

import {around, positions, triangles, type Described} from '../src/water/frames';
import {readWish, shareLink, wishFromText, wishToText} from '../src/water/wish';

test('the frames around a time', () => {
  expect(around([0, 1, 3], 0)).toEqual([0, 1, 0]);
  expect(around([0, 1, 3], 2)).toEqual([1, 2, 0.5]);
  expect(around([0, 1, 3], 9)).toEqual([2, 2, 0]);
  expect(around([2], 0)).toEqual([0, 0, 0]);
});

test('every cell lies between the nodes', () => {
  const nodes: [number, number][] = [];
  for (let j = 0; j < 3; j++) for (let i = 0; i < 3; i++) nodes.push([100 + i, 50 - j]);
  const at = positions({rows: 5, columns: 3, nodes, nodes_a_side: 3} as Described);
  expect([...at.slice(0, 6)]).toEqual([100, 50, 101, 50, 102, 50]);
  expect([...at.slice(6, 8)]).toEqual([100, 49.5]);
  expect([...at.slice(-2)]).toEqual([102, 48]);
});

test('triangles only where it is ever wet, and never on walls alone', () => {
  const dry = new Uint16Array(16);
  expect(triangles(4, 4, {values: dry, wall: 9}).length).toBe(0);
  expect(triangles(4, 4, {values: new Uint16Array(16).fill(9), wall: 9}).length).toBe(0);
  const one = new Uint16Array(16);
  one[0] = 5;
  expect([...triangles(4, 4, {values: one, wall: 9})]).toEqual([0, 4, 1, 1, 4, 5]);
  one[5] = 5;
  expect(triangles(4, 4, {values: one, wall: 9}).length).toBe(4 * 6);
});

test('a wish survives the link, and nothing else passes', () => {
  const wish = {name: '左岸 ~12.4k', versus: 'b&c', how: 'difference' as const, at: 1.25};
  expect(wishFromText(wishToText(wish))).toEqual(wish);
  expect(wishFromText(wishToText({...wish, versus: null, how: 'side', at: null}))).toEqual({name: wish.name, versus: null, how: 'side', at: null});
  expect(wishFromText('a~..%2Fb')).toEqual({name: 'a', versus: null, how: 'side', at: null});
  expect(wishFromText('%E3%81')).toBeNull();
  expect(readWish({name: '../x'})).toBeNull();
  expect(readWish({name: 'a', versus: 'a'})?.versus).toBeNull();
  expect(readWish({name: 'a', silent: true})?.silent).toBe(true);
  expect(wishToText(readWish({name: 'a', silent: true})!)).toBe('a'); // a link opens with its curves
});

test('the link leads to the map alone, at this moment', () => {
  const link = new URL(shareLink('https://city.example/map/?embed=1&panel=0&lang=ja#v=1/2/3/0/0', {name: 'a', versus: null, how: 'side', at: 2}));
  expect(link.search).toBe('?lang=ja');
  const hash = new URLSearchParams(link.hash.slice(1));
  expect(hash.get('v')).toBe('1/2/3/0/0');
  expect(wishFromText(hash.get('w'))).toMatchObject({name: 'a', at: 2});
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plot } from './plot.ts';

const curves = [
  [1, 2, 4],
  [1, 3, 4],
  [1, 1, 5],
];

test('a panel a case, a line and a band an arm, one legend', () => {
  const lines = ['search', 'independent'].map((label) => ({ label, curves }));
  const panels = [
    { title: 'a < b & c', lines },
    { title: 'second', lines: lines.slice(0, 1) },
    { title: 'left out', lines: [] },
  ];
  const svg = plot(panels, 'about');
  const count = (what: string) => svg.split(what).length - 1;
  assert.equal(count('<g transform'), 2);
  assert.equal(count('<polyline'), 3);
  assert.equal(count('<polygon'), 3);
  assert.equal(count('>search<'), 1);
  assert.match(svg, /a &lt; b &amp; c/);
  assert.ok(!svg.includes('left out') && !svg.includes('NaN') && !svg.includes('undefined'));
  assert.equal(plot(panels, 'about'), svg);
});

test('the line is the median, in steps; the band goes from least to most', () => {
  const svg = plot([{ title: 't', lines: [{ label: 'l', curves }] }], '');
  const points = (name: string) => {
    const found = new RegExp(`<${name} points="([^"]*)"`).exec(svg)?.[1] ?? '';
    return found.split(' ').map((point) => point.split(',').map(Number));
  };
  const line = points('polyline');
  // Five points: a corner before every step.
  assert.equal(line.length, 5);
  assert.equal(line[0]?.[1], line[1]?.[1]);
  assert.equal(line[1]?.[0], line[2]?.[0]);
  assert.ok((line[2]?.[1] ?? 0) < (line[1]?.[1] ?? 0), 'up is less');
  assert.equal(points('polygon').length, 10);
});

test('nothing to show is an empty picture', () => {
  assert.match(plot([], 'about'), /^<svg [^>]+>\n<title>about<\/title>/);
});

// Checks of what book/replay knows of a run, for node --test.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { lastEvent, nextTime, readTrace, stateAt } from '../../book/replay/replay.js'

const lessons = new URL('../../lessons/', import.meta.url)
const names = readdirSync(lessons).filter((name) => /^\d/.test(name))
const traceOf = (name) => JSON.parse(readFileSync(new URL(`${name}/trace.json`, lessons), 'utf8'))

// Two pages by two workers, and a line when the second has ended.
const small = [
  { name: 'process_name', ph: 'M', args: { name: 'small' } },
  { name: 'host/a', ph: 'X', cat: 'page', ts: 100, dur: 300, args: { number: 1, worker: 'thread-1' } },
  { name: 'connect', ph: 'X', cat: 'phase', ts: 100, dur: 50 },
  { name: 'host/b', ph: 'X', cat: 'page', ts: 200, dur: 400,
    args: { number: 2, worker: 'thread-2', error: 'timed out' } },
  { name: 'Done', ph: 'i', cat: 'output', ts: 700 }
]

describe('the model', () => {
  test('has the pages, their phases, the lines and the end of a run', () => {
    const run = readTrace(small)
    assert.deepEqual(run.pages.map((page) => page.name), ['a', 'b'])
    assert.deepEqual(run.pages[0].phases, [{ name: 'connect', seconds: 0.00005 }])
    assert.deepEqual(run.lines, [{ time: 0.0007, text: 'Done' }])
    assert.equal(run.end, 0.0007)
  })
  test('has a lane for each worker, and for each page of the only one', () => {
    assert.deepEqual(readTrace(small).lanes.map((lane) => lane.map((page) => page.name)), [['a'], ['b']])
    const lengths = (name) => readTrace(traceOf(name)).lanes.map((lane) => lane.length)
    assert.deepEqual(lengths('01-sequential'), [1, 1, 1, 1, 1])
    assert.deepEqual(lengths('02-threads'), [1, 1, 1, 1, 1])
    assert.deepEqual(lengths('03-thread-pool').sort(), [1, 2, 2])
  })
  test('tells what happens, in its order', () => {
    assert.deepEqual(readTrace(small).events, [
      { time: 0.0004, text: 'thread-1 has fetched a' },
      { time: 0.0006, text: 'thread-2 has failed to fetch b: timed out' },
      { time: 0.0007, text: 'Done' }])
  })
  test('knows what is to be seen at a moment', () => {
    const run = readTrace(small)
    assert.deepEqual(stateAt(run, 0), { lines: 0, bars: [0, 0] })
    assert.deepEqual(stateAt(run, 0.0001), { lines: 0, bars: [0, 0] })
    assert.deepEqual(stateAt(run, 0.0007).lines, 1)
    for (const [bar, seconds] of [[0, 0.0003], [1, 0.0003]])
      assert.ok(Math.abs(stateAt(run, 0.0005).bars[bar] - seconds) < 1e-9)
  })
  test('goes from event to event, in all the runs together', () => {
    const [one, two] = [small, [{ name: 'x', cat: 'output', ts: 500 }]].map(readTrace)
    assert.equal(nextTime([one], 0), 0.0004)
    assert.equal(nextTime([one], 0.0004), 0.0006)
    assert.equal(nextTime([one, two], 0.0004), 0.0005)
    assert.equal(nextTime([one, two], 0.0007), undefined)
    assert.equal(lastEvent([two], 0.0004), undefined)
    assert.equal(lastEvent([one, two], 0.00065).text, 'thread-2 has failed to fetch b: timed out')
  })
  test('can be made of each lesson\'s trace', () => {
    for (const name of names) {
      const run = readTrace(traceOf(name))
      assert.equal(run.pages.length, 5)
      assert.equal(run.events.length, 5 + run.lines.length)
      assert.match(run.events.at(-1).text, /^5 of 5 pages fetched in /)
    }
  })
})

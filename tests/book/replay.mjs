// Checks of a replay in a page. Each takes a page of playwright-core's that has one figure with a
// replay, the trace of its lesson, and that of another lesson; it throws an error if something is
// not as it should be.
import assert from 'node:assert/strict'
import { readTrace, stateAt } from '../../book/replay/replay.js'

const linesOf = (trace) => trace.filter((event) => event.cat === 'output').map((event) => event.name)

// The lines that can be seen in the output of each run that is shown.
function seenLines(page) {
  return page.locator('.replay-run').evaluateAll((runs) => runs.map((run) =>
    [...run.querySelectorAll('.replay-output span')].filter((line) => line.checkVisibility(
      { visibilityProperty: true })).map((line) => line.textContent)))
}

const moment = (page) => page.locator('.replay-now').textContent()

async function moveTo(page, key) {
  await page.getByRole('slider').focus()
  await page.keyboard.press(key)
}

// Plays until it ends by itself.
async function playToTheEnd(page) {
  await page.getByLabel('Speed').selectOption({ label: '1' })
  await page.getByRole('button', { name: 'Play' }).click()
  await page.getByRole('button', { name: 'Pause' }).waitFor()
  await page.getByRole('button', { name: 'Play' }).waitFor()
}

export const checks = {
  async 'it begins with the whole run, as the picture shows it'(page, trace) {
    assert.deepEqual(await seenLines(page), [linesOf(trace)])
    assert.equal(await page.locator('.replay-bar:visible').count(), readTrace(trace).pages.length)
  },
  async 'with the slider at its start nothing has happened, at its end all has'(page, trace) {
    await moveTo(page, 'Home')
    assert.deepEqual(await seenLines(page), [[]])
    assert.equal(await page.locator('.replay-bar:visible').count(), 0)
    await moveTo(page, 'End')
    assert.deepEqual(await seenLines(page), [linesOf(trace)])
    const { end } = readTrace(trace)
    assert.equal(await page.getByRole('slider').getAttribute('aria-valuetext'),
      `${end.toFixed(2)} of ${end.toFixed(2)} seconds`)
  },
  async 'it plays, and ends with what the real run has printed'(page, trace) {
    await moveTo(page, 'Home')
    await playToTheEnd(page)
    assert.deepEqual(await seenLines(page), [linesOf(trace)])
  },
  async 'it pauses where it is, and goes on from there'(page, trace) {
    await page.getByLabel('Speed').selectOption('1/10')
    await page.getByRole('button', { name: 'Play' }).click()
    await page.locator('.replay-bar:visible').first().waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    const paused = await moment(page)
    assert.ok((await seenLines(page))[0].length < linesOf(trace).length)
    await page.evaluate(() => new Promise((done) =>
      requestAnimationFrame(() => requestAnimationFrame(done))))
    assert.equal(await moment(page), paused)
    await playToTheEnd(page)
    assert.deepEqual(await seenLines(page), [linesOf(trace)])
  },
  async 'a step goes to the next event, and tells it'(page, trace) {
    const { events } = readTrace(trace)
    await moveTo(page, 'Home')
    for (const event of events.filter(({ time }, i) => time !== events[i + 1]?.time)) {
      await page.getByRole('button', { name: 'Step' }).press('Enter')
      assert.equal(await moment(page), `${event.time.toFixed(3)} s`)
      assert.ok((await page.getByRole('status').textContent()).endsWith(event.text))
    }
    assert.deepEqual(await seenLines(page), [linesOf(trace)])
    assert.deepEqual(await page.locator('.replay-run li').allTextContents(),
      events.map(({ time, text }) => `${time.toFixed(3)} s: ${text}`))
  },
  async 'a bar that has the focus, or the pointer, tells its phases'(page, trace) {
    await moveTo(page, 'End')
    const [first, second] = readTrace(trace).pages
    const phases = page.locator('.replay-phases')
    await page.getByRole('button', { name: first.name }).focus()
    assert.match(await phases.textContent(), new RegExp(`^${first.name}, ${first.worker}, `))
    for (const { name, seconds } of first.phases) {
      assert.ok((await phases.textContent()).includes(`${name} ${(seconds * 1e3).toFixed(2)} ms`))
    }
    await page.getByRole('button', { name: second.name }).hover()
    assert.match(await phases.textContent(), new RegExp(`^${second.name}, `))
  },
  async 'a second lesson has the same clock'(page, trace, other) {
    const [one, two] = [trace, other].map(readTrace)
    const { args: { name } } = other.find((event) => event.name === 'process_name')
    await page.getByLabel('Compare with').selectOption(name)
    await page.locator('.replay-run').nth(1).waitFor()
    assert.deepEqual(await seenLines(page), [linesOf(trace), linesOf(other)])
    await moveTo(page, 'Home')
    await moveTo(page, 'PageUp') // as far as it goes with one key: a tenth
    const time = Number.parseFloat(await moment(page))
    assert.ok(time > 0)
    assert.deepEqual((await seenLines(page)).map((lines) => lines.length), [one, two].map(
      (run) => run.lines.filter((line) => line.time <= time).length))
    const parts = await page.locator('.replay-bar').evaluateAll((bars) => bars.map((bar) =>
      bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width))
    const end = Math.max(one.end, two.end)
    const bars = [one, two].flatMap((run) => stateAt(run, time).bars)
    assert.equal(parts.length, bars.length)
    parts.forEach((part, i) => assert.ok(Math.abs(part - bars[i] / end) < 0.02))
    await page.getByLabel('Compare with').selectOption('no other lesson')
    await page.locator('.replay-run').nth(1).waitFor({ state: 'detached' })
  }
}

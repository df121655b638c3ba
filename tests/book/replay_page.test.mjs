// Checks of book/replay in Chromium, for node --test, on a page that has nothing else. PACKAGES is the
// folder with the node_modules that have playwright-core and axe-core.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { checks } from './replay.mjs'

const root = new URL('../../', import.meta.url)
const names = readdirSync(new URL('lessons/', root)).filter((name) => /^\d/.test(name))
const read = (path) => readFileSync(new URL(path, root), 'utf8')
const traceOf = (name) => JSON.parse(read(`lessons/${name}/trace.json`))
const lesson = '03-thread-pool'
const other = '01-sequential'

// Only what the replay needs: the site has a page of its own for each lesson.
const files = {
  '/': () => `<!doctype html><html lang="en"><title>A replay</title>
    <meta name="viewport" content="width=device-width">
    <link rel="icon" href="data:,"><link rel="stylesheet" href="replay.css">
    <style>:root { color-scheme: light dark }</style><main><h1>A replay</h1>
    <figure class="replay" data-lesson="${lesson}" data-traces="traces/"><img src="timeline.svg"
    alt="The timeline of a real run"></figure></main><script type="module">
    import { mount } from './replay.js'; mount(document.querySelector('.replay'))</script>`,
  '/replay.js': () => read('book/replay/replay.js'),
  '/replay.css': () => read('book/replay/replay.css'),
  '/timeline.svg': () => read(`lessons/${lesson}/timeline.svg`),
  '/traces/index.json': () => JSON.stringify(names.map((name, i) =>
    ({ number: i + 1, name, title: name.slice(3) }))),
}
for (const name of names) files[`/traces/${name}.json`] = () => read(`lessons/${name}/trace.json`)
const types = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml', json: 'application/json' }

describe('the page', () => {
  let browser
  let server
  let axe
  const open = async (options, expected) => {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    page.on('pageerror', (error) => assert.fail(error))
    const told = expected && page.waitForEvent('console', (message) => message.text().includes(expected))
    await page.goto(`http://127.0.0.1:${server.address().port}/`)
    await told
    return page
  }
  const openReplay = async (options) => {
    const page = await open(options)
    await page.locator('.replay-run').waitFor()
    return page
  }
  before(async () => {
    const require = createRequire(`${process.env.PACKAGES}/`)
    axe = require('axe-core').source
    server = createServer((request, response) => {
      const file = files[request.url]
      response.writeHead(file ? 200 : 404,
        { 'Content-Type': types[request.url.split('.').pop()] ?? 'text/html; charset=utf-8' })
      response.end(file?.())
    })
    await new Promise((done) => server.listen(0, '127.0.0.1', done))
    browser = await require('playwright-core').chromium.launch(
      { executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })
  })
  after(async () => {
    await browser?.close()
    server?.close()
  })

  for (const [name, check] of Object.entries(checks)) {
    test(name, async () => {
      const page = await openReplay()
      await check(page, traceOf(lesson), traceOf(other))
      await page.context().close()
    })
  }
  for (const colorScheme of ['light', 'dark']) {
    test(`axe-core finds nothing, and nothing is wider than a phone: ${colorScheme}`, async () => {
      const page = await openReplay({ colorScheme, viewport: { width: 360, height: 640 } })
      await page.getByLabel('Compare with').selectOption('11-executor-cluster')
      await page.locator('.replay-run').nth(1).waitFor()
      await page.evaluate(axe)
      const { violations } = await page.evaluate(() => globalThis.axe.run())
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes[0].html]), [])
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360)
      await page.context().close()
    })
  }
  test('with reduced motion it steps, and plays nothing', async () => {
    const page = await openReplay({ reducedMotion: 'reduce' })
    assert.equal(await page.getByRole('button', { name: 'Play' }).count(), 0)
    await checks['a step goes to the next event, and tells it'](page, traceOf(lesson))
    await page.context().close()
  })
  test('without JavaScript there is the picture', async () => {
    const page = await open({ javaScriptEnabled: false })
    assert.ok(await page.getByAltText('The timeline of a real run').isVisible())
    await page.context().close()
  })
  test('without the trace there is the picture', async () => {
    const trace = files[`/traces/${lesson}.json`]
    delete files[`/traces/${lesson}.json`]
    const page = await open({}, 'The picture stays')
    assert.ok(await page.getByAltText('The timeline of a real run').isVisible())
    files[`/traces/${lesson}.json`] = trace
    await page.context().close()
  })
})

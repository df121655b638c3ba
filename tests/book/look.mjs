// Looks at all pages of the site in Chromium, in one go, and prints what is wrong: a JSON object that has,
// for each thing that is looked for, a list of what was found. book.bats says what they mean.
//
// usage: node look.mjs PACKAGES CHROMIUM SITE SECONDS
//
// PACKAGES is the folder with node_modules in it, SITE the folder that scripts/book has made. What has not come after
// so many seconds does not come.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checks as replayChecks } from './replay.mjs'
import { serve } from './server.mjs'

const [packages, executablePath, site, patience] = process.argv.slice(2)
const require = createRequire(join(packages, 'x.js'))
const { chromium } = require('playwright-core')
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

const found = {}
const atOnce = 3 // pages
const files = readdirSync(site, { recursive: true })
  .filter((file) => file.endsWith('.html'))
  .sort()
// One of each kind: what a page shows, and in which colours, is the same in all of them.
const kinds = [
  'index.html',
  'lessons/03-thread-pool/index.html',
  'shared/executor/index.html',
  'shared/sync.h.html',
  'shared/executor/map.c.html'
]
const lessons = files.filter((file) => /^lessons\/[^/]+\/index\.html$/.test(file))

// What a page says of itself. Runs in the page.
function describe() {
  return {
    ids: [...document.querySelectorAll('[id]')].map((element) => element.id),
    links: [...document.querySelectorAll('a[href]')].map((link) => link.href),
    images: [...document.images]
      .filter((image) => image.complete && image.naturalWidth === 0)
      .map((image) => image.src)
  }
}

// What cannot be seen of the text, but for what is folded or one of two views. Runs in the page.
function findHidden() {
  const text = [...document.querySelectorAll('main :is(h1, h2, h3, p, li, td, pre, img)')]
  return text
    .filter((element) => !element.closest('details, .side-by-side') && !element.checkVisibility())
    .map((element) => element.outerHTML.slice(0, 100))
}

function report(thing, ...problems) {
  ;(found[thing] ??= []).push(...problems)
}

// ---- Looking at each page ------------------------------------------------------------------

// Opens the page, and notes what goes wrong while it is open.
async function open(context, address) {
  const page = await context.newPage()
  page.setDefaultTimeout(1e3 * patience)
  const problem = (text) => report('errors', `${address}: ${text}`)
  page.on('console', (message) => message.type() === 'error' && problem(message.text()))
  page.on('pageerror', (error) => problem(error))
  page.on('requestfailed', (request) => problem(`${request.url()}: ${request.failure().errorText}`))
  page.on(
    'response',
    (response) => response.status() >= 400 && problem(`${response.url()}: ${response.status()}`)
  )
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url())
    if (protocol !== 'data:' && origin !== new URL(address).origin)
      report('elsewhere', `${address}: ${request.url()}`)
  })
  await page.goto(address)
  return page
}

// The same, and waits until what its scripts load is there.
async function openWithScripts(context, address) {
  const page = await open(context, address)
  await settle(page)
  return page
}

async function settle(page) {
  await page
    .waitForFunction(() => !document.querySelector('figure.replay:not(:has(input))'))
    .catch((error) => report('errors', `${page.url()}: no replay: ${error.message}`))
}

// Has axe-core look at the page as it is now. Colours take it longer than all the rest.
async function findViolations(page, what, options = {}) {
  await page.addStyleTag({ content: '* { content-visibility: visible !important }' }) // all of it
  await page.evaluate(axe)
  const { violations } = await page.evaluate(
    (options) => window.axe.run(document, { resultTypes: ['violations'], ...options }),
    options
  )
  report('violations', ...violations.map(({ id, nodes }) => `${what}: ${id}: ${nodes[0].html}`))
}

async function lookAt(context, root, file, described) {
  const page = await openWithScripts(context, root + file)
  described.set(root + file, await page.evaluate(describe))
  if (kinds.includes(file) || !/\.(c|go|py)\.html$/.test(file))
    // of pages that are only a listing, one
    await findViolations(page, file, { rules: { 'color-contrast': { enabled: false } } })
  for (const colorScheme of kinds.includes(file) ? ['light', 'dark'] : []) {
    await page.emulateMedia({ colorScheme })
    await findViolations(page, `${file}, ${colorScheme}`, { runOnly: 'color-contrast' })
  }
  await page.setViewportSize({ width: 360, height: 740 })
  const width = await page.evaluate(() => document.documentElement.scrollWidth)
  if (width > 360) report('sideways', `${file}: ${width} pixels`)
  await page.close()
}

async function lookWithoutScripts(context, root, file) {
  const page = await open(context, root + file)
  report('hidden', ...(await page.evaluate(findHidden)).map((element) => `${file}: ${element}`))
  await page.close()
}

// How much comes over the wire until all of the page was seen; nothing is compressed.
async function weigh(browser, root, file, most) {
  const page = await browser.newPage()
  let bytes = 0
  const counted = []
  page.on('requestfinished', (request) =>
    counted.push(
      request.sizes().then((sizes) => {
        bytes += sizes.responseHeadersSize + sizes.responseBodySize
      })
    )
  )
  await page.goto(root + file)
  await page.mouse.wheel(0, 1e6)
  await page.waitForLoadState('networkidle')
  await Promise.all(counted)
  await page.close()
  if (bytes > most) report('sizes', `${file}: ${bytes} bytes, and not at most ${most}`)
}

// ---- Links ---------------------------------------------------------------------------------

function followLinks(root, described) {
  for (const [address, { links, images }] of described) {
    report('links', ...images.map((image) => `${address}: no picture ${image}`))
    for (const link of new Set(links)) {
      const { href, hash } = new URL(link)
      const target = described.get(href.replace(/[?#].*/, ''))
      if (!href.startsWith(root)) continue
      if (target === undefined) report('links', `${address}: no page ${href}`)
      else if (hash.length > 1 && !target.ids.includes(decodeURIComponent(hash.slice(1))))
        report('links', `${address}: no place ${href}`)
    }
  }
}

// ---- What moves ----------------------------------------------------------------------------

async function search(context, root, words, expected) {
  const page = await open(context, `${root}index.html`)
  await page.getByRole('button', { name: 'Search' }).click()
  await page.getByRole('searchbox').fill(words)
  const result = page.locator(`dialog a[href*="${expected}"]`).first()
  await result.waitFor()
  await findViolations(page, 'the search')
  await page.close()
}

// The step that is shown, of those that there are.
async function present(context, root) {
  const address = `${root}${lessons[2]}`
  const page = await openWithScripts(context, address)
  const expect = async (what, wanted) => {
    const seen =
      (await page.locator('.step:visible').allInnerTexts()).length === 1
        ? await page.locator('.steps [role=status]').textContent()
        : 'not one step'
    if (!seen.startsWith(wanted)) report('present', `${what}: ${seen}, and not ${wanted}`)
  }
  await page.getByRole('link', { name: 'Present' }).click()
  await page.locator('.steps').waitFor()
  await settle(page)
  await expect('at first', '1 of ')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await expect('two to the right', '3 of ')
  await page.keyboard.press('ArrowLeft')
  await expect('one to the left', '2 of ')
  await findViolations(page, '?present')
  await page.keyboard.press('Escape')
  if ((await page.locator('.presenting').count()) > 0 || page.url() !== address)
    report('present', `Escape: still at ${page.url()}`)
  await page.close()
}

// Of a session, only the commands.
async function copy(context, root) {
  const page = await openWithScripts(context, `${root}${lessons[2]}`)
  const session = page.locator('.language-console', { hasText: 'Waiting for downloads' })
  await session.getByRole('button').click()
  await page.getByRole('button', { name: 'Copied' }).waitFor()
  const text = await page.evaluate(() => navigator.clipboard.readText())
  if (!text.startsWith('make\nbuild/site ') || text.includes('for downloads')) report('copy', text)
  await page.close()
}

// ---- Lessons --------------------------------------------------------------------------------

function inRepository(path) {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}

async function lookAtLesson(context, root, file) {
  const page = await openWithScripts(context, root + file)
  const [lesson] = file.match(/\d[^/]+/)
  await attempt('differences', () => compareDifference(page, lesson))
  await attempt('replays', () => replay(page, lesson))
  await page.close()
}

// The page shows each line of what scripts/diff says, and of the program, as it is.
async function compareDifference(page, lesson) {
  const patch = execFileSync(inRepository('scripts/diff'), [lesson], { encoding: 'utf8' })
  const lines = patch.split('\n').filter((line) => /^[-+ ](?!-- |\+\+ )/.test(line))
  for (const table of ['line-by-line', 'side-by-side']) {
    const shown = await page
      .locator(`.${table} td[class]`)
      .evaluateAll((cells) =>
        cells
          .filter((cell) => !cell.matches('.emptyplaceholder'))
          .map((cell) => (cell.matches('.ins') ? '+' : cell.matches('.del') ? '-' : ' ') + cell.textContent)
      )
    const missing = lines.find((line) => !shown.includes(line))
    if (missing !== undefined) report('differences', `${lesson}, ${table}: ${missing}`)
    // Their order is another one: what has changed a little stands below what it was.
    if (table === 'line-by-line' && shown.sort().join('\n') !== lines.sort().join('\n'))
      report('differences', `${lesson}: a line is missing, or is there twice`)
  }
  const program = await page.locator('.line[id]').evaluateAll((lines) =>
    lines
      .map((line) =>
        [...line.childNodes]
          .slice(1)
          .map((node) => node.textContent)
          .join('')
      )
      .join('\n')
  )
  if (program !== readFileSync(inRepository(`lessons/${lesson}/main.c`), 'utf8').trimEnd())
    report('differences', `${lesson}: main.c is another one`)
}

// At its start the replay shows nothing, and at its end what the real run has printed.
async function replay(page, lesson) {
  const trace = JSON.parse(readFileSync(inRepository(`lessons/${lesson}/trace.json`)))
  await replayChecks['with the slider at its start nothing has happened, at its end all has'](page, trace)
}

// ---- From the top --------------------------------------------------------------------------

// Calls the function for each of the things, some at once.
async function forEach(things, action) {
  const left = [...things]
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left.length > 0) await action(left.shift())
    })
  )
}

// What cannot be done is a problem too: a button that is not there.
async function attempt(thing, action) {
  await action().catch((error) => report(thing, error.message))
}

// The site is in a folder of the server's.
const server = await serve(dirname(site))
const root = `${server.address}${encodeURIComponent(basename(site))}/`
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
try {
  const described = new Map()
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
  await forEach(files, (file) => lookAt(context, root, file, described))
  followLinks(root, described)
  const plain = await browser.newContext({ javaScriptEnabled: false })
  await forEach(files, (file) => lookWithoutScripts(plain, root, file))
  await weigh(browser, root, 'index.html', 150_000)
  await forEach(lessons, (file) => weigh(browser, root, file, 300_000))
  await attempt('search', () => search(context, root, 'condition variable', 'lessons/03-thread-pool/'))
  await attempt('search', () => search(context, root, 'pthread_cond_wait', 'lessons/03-thread-pool/'))
  await attempt('present', () => present(context, root))
  await attempt('copy', () => copy(context, root))
  await forEach(lessons, (file) => lookAtLesson(context, root, file))
  found.pages = files
  process.stdout.write(JSON.stringify(found, null, 1))
} finally {
  await browser.close()
  server.stop()
}

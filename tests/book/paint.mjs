// Measures when Chromium first paints something of the site's pages, and of an empty page that VitePress makes
// with its own theme, in turn, each page with an empty cache. It judges nothing.
//
// usage: node paint.mjs PACKAGES CHROMIUM SITE
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { serve } from './server.mjs'

const [packages, executablePath, site] = process.argv.slice(2)
const { chromium } = createRequire(join(packages, 'x.js'))('playwright-core')
const runs = 15

function median(numbers) {
  return numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
}

// In milliseconds from the start of the navigation, and how many bytes had come when all was quiet.
async function measure(browser, address) {
  const context = await browser.newContext()
  const page = await context.newPage()
  const sizes = []
  page.on('requestfinished', (request) => sizes.push(request.sizes()))
  await page.goto(address, { waitUntil: 'networkidle' })
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime)
  const bytes = (await Promise.all(sizes)).reduce((sum, { responseBodySize }) => sum + responseBodySize, 0)
  await context.close()
  return { paint, bytes }
}

const empty = mkdtempSync(join(packages, 'empty-'))
let ours, theirs, browser
try {
  writeFileSync(join(empty, 'index.md'), '# Empty\n')
  execFileSync(join(packages, 'node_modules/.bin/vitepress'), ['build', empty], { stdio: 'ignore' })
  ours = await serve(site)
  theirs = await serve(join(empty, '.vitepress/dist'))
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  const pages = {
    'an empty page of VitePress': theirs.address,
    'the first page': `${ours.address}index.html`,
    'lesson 4': `${ours.address}lessons/04-process-pool/index.html`
  }
  const measured = Object.fromEntries(Object.keys(pages).map((name) => [name, []]))
  for (let run = 0; run < runs; run++)
    for (const [name, address] of Object.entries(pages)) measured[name].push(await measure(browser, address))
  for (const [name, all] of Object.entries(measured))
    console.log(`${name}: ${median(all.map(({ paint }) => paint)).toFixed(0)} ms, ${all[0].bytes} bytes`)
} finally {
  await browser?.close()
  ours?.stop()
  theirs?.stop()
  rmSync(empty, { recursive: true })
}

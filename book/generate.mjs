// Makes the sources of the site out of the repository, for VitePress: one page for each README,
// for each header in shared/, and for each file that one of those links to. It has no prose of
// its own.
//
// usage: node generate.mjs REPOSITORY TARGET

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, extname, join, posix } from 'node:path'
import { pathToFileURL } from 'node:url'
import { optimize } from 'svgo'
import { blocksOf, placeOf } from './blocks.mjs'
import { differenceOf } from './difference.mjs'
import { documentationOf } from './header.mjs'

let repository
let target
let pages // what the pages so far were made of, a path in the repository: its title

export function generate(from, to) {
  repository = from
  target = to
  pages = new Map()
  copyTheme()
  addPage('README.md')
  for (const folder of ['shared', 'shared/executor']) {
    for (const name of readdirSync(join(repository, folder))) {
      if (name.endsWith('.h')) addPage(`${folder}/${name}`)
    }
  }
  writeTraces()
  write('.vitepress/pages.json', JSON.stringify(Object.fromEntries(pages), null, 1))
  return pages.size
}

// ---- Files -----------------------------------------------------------------------------------

function read(path) {
  return readFileSync(join(repository, path), 'utf8')
}

// Writes only what is new, so that `--serve` shows it, and nothing else, anew.
function write(path, text) {
  const file = join(target, path)
  mkdirSync(dirname(file), { recursive: true })
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text)
}

// A file, or all that is in a folder.
function copy(from, to) {
  if (isFile(from)) write(to, read(from))
  else for (const name of readdirSync(join(repository, from))) copy(`${from}/${name}`, `${to}/${name}`)
}

function isFile(path) {
  const file = join(repository, path)
  return existsSync(file) && statSync(file).isFile()
}

function copyTheme() {
  copy('book/config.mjs', '.vitepress/config.mjs')
  copy('book/blocks.mjs', '.vitepress/blocks.mjs')
  copy('book/theme', '.vitepress/theme')
  copy('book/client', 'public')
  copy('book/replay', 'public/replay')
}

// ---- Pages -----------------------------------------------------------------------------------

// pageOf(path): the page of a file; a lesson's program is on the page of the lesson.
function pageOf(path) {
  if (/^lessons\/[^/]+\/main\.c$/.test(path)) return posix.join(dirname(path), 'index.md') + '#main-c'
  if (posix.basename(path) === 'README.md') return posix.join(dirname(path), 'index.md')
  return path.endsWith('.md') ? path : `${path}.md`
}

function addPage(path) {
  path = path.replace(/(^lessons\/[^/]+\/)main\.c$/, '$1README.md')
  if (pages.has(path)) return
  pages.set(path, posix.basename(path))
  const text = textOf(path)
  pages.set(path, text.match(/^# (.*)$/m)[1])
  write(pageOf(path), text)
}

function textOf(path) {
  if (/^lessons\/[^/]+\/README\.md$/.test(path)) return lessonPage(path)
  if (path.endsWith('.md')) return markdownOf(path)
  return path.endsWith('.h') ? headerPage(path) : `# ${path}\n\n${listing(path)}`
}

// The file, with numbers of lines that can be linked to.
function listing(path) {
  const language = { '.c': 'c', '.h': 'c', '.py': 'python', '.go': 'go' }[extname(path)] ?? 'text'
  return `\`\`\`${language} numbered\n${read(path).trimEnd()}\n\`\`\`\n`
}

function headerPage(path) {
  const { about, entries } = documentationOf(read(path))
  const documented = entries.map(
    ({ name, text, declaration }) => `## ${name}\n\n\`\`\`c\n${declaration}\n\`\`\`\n\n${text}\n`
  )
  return [`# ${path}`, about, ...documented, '## The header', listing(path)].join('\n\n')
}

// A README; the pages of the files that it links to are added, and the pictures that it shows.
function markdownOf(path) {
  return read(path)
    .replace(/(!?)(\[[^\]]*\])\(([^):\s#]+)(#[^)\s]*)?\)/g, (whole, picture, text, file, anchor = '') => {
      const linked = posix.join(dirname(path), file)
      if (!isFile(linked)) return whole
      if (picture) return image(linked, `alt="${text.slice(1, -1)}"`)
      addPage(linked)
      return `${text}(/${pageOf(linked)}${anchor})`
    })
    .replace(/<img src="([^":/][^":]*)"([^>]*)>/g, (_, file, rest) =>
      image(posix.join(dirname(path), file), rest)
    )
}

// gnuplot's pictures are five times as long as they need to be.
function image(path, attributes) {
  if (path.endsWith('.svg')) write(join('public', path), optimize(read(path), { multipass: true }).data)
  else cpSync(join(repository, path), join(target, 'public', path))
  return `<img src="/${path}" loading="lazy" ${attributes.trim()}>`
}

// ---- Lessons ---------------------------------------------------------------------------------

function lessonPage(path) {
  const folder = dirname(path)
  const name = posix.basename(folder)
  return [
    asSteps(asReplay(markdownOf(path), name)),
    differenceSection(folder),
    '## main.c',
    listing(`${folder}/main.c`)
  ].join('\n\n')
}

// What the runs that can be watched may be compared with.
function writeTraces() {
  const lessons = []
  for (const [path, title] of pages) {
    const [, name, number] = path.match(/^lessons\/((\d+)-[^/]+)\/README\.md$/) ?? []
    if (name === undefined || !isFile(`lessons/${name}/trace.json`)) continue
    lessons.push({ number: Number(number), name, title: title.replace(/^Lesson \d+: /, '') })
    write(`public/traces/${name}.json`, read(`lessons/${name}/trace.json`))
  }
  write('public/traces/index.json', JSON.stringify(lessons))
}

// The picture of a run is where the run can be watched.
function asReplay(text, name) {
  const kind = isFile(`lessons/${name}/trace.json`) ? 'replay step' : 'step'
  return text.replace(
    /^<img src="[^"]*timeline\.svg"[^>]*>$/m,
    (picture) => `<figure class="${kind}" data-lesson="${name}" data-traces="/traces/">${picture}</figure>`
  )
}

// `?present` begins with what is new.
function asSteps(text) {
  const [title, first, ...rest] = text.split(/^(?=## )/m)
  return `<div class="step">\n\n${title}\n\n${first}\n\n</div>\n\n${rest.join('')}`
}

// What the lesson changes, each part with what the README says of it.
function differenceSection(folder) {
  const program = `${folder}/main.c`
  const blocks = blocksOf(markdownOf(`${folder}/README.md`)).filter((block) => block.file === program)
  const source = read(program).split('\n')
  const explained = new Map()
  for (const block of blocks) {
    for (const line of placeOf(block.code, source)) explained.set(line, block.prose)
  }
  const patch = execFileSync(join(repository, 'scripts/diff'), [posix.basename(folder)], {
    encoding: 'utf8'
  })
  const before = patch.match(/^--- a\/lessons\/0*(\d+)/m)?.[1]
  return [
    before ? `## The difference to lesson ${before}` : '## The program, piece by piece',
    '<ViewChoice />',
    ...differenceOf(patch, explained).map(difference)
  ].join('\n\n')
}

// v-html, since Vue's templates have no indentation.
function difference({ explanation, unified, side }) {
  const rows = unified.split('<tr>').length
  const html = JSON.stringify(unified + side)
    .replaceAll('&', '&amp;')
    .replaceAll('"', '&quot;')
  return `<div class="step hunk">
<div class="why">

${explanation ?? ''}

</div>
<div class="diff" style="--rows: ${rows}" tabindex="0" role="group" aria-label="difference" v-html="${html}"></div>
</div>`
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(`${generate(process.argv[2], process.argv[3])} pages\n`)
}

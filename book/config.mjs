// How VitePress makes the site of what generate.mjs has made. It makes HTML only (`mpa`): what
// moves is in client/, and without it everything can be read.

import { readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createCssVariablesTheme } from 'shiki'
import { defineConfig } from 'vitepress'
import { generate } from '../../book/generate.mjs'
import { placeOf } from './blocks.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const repository = process.env.REPOSITORY
const pages = JSON.parse(readFileSync(join(here, 'pages.json'), 'utf8'))

function addressOf(path) {
  return `/${path.replace(/README\.md$/, 'index').replace(/\.md$/, '')}.html`
}

function entriesOf(isWanted) {
  return Object.keys(pages)
    .filter(isWanted)
    .sort()
    .map((path) => ({ text: pages[path], link: addressOf(path) }))
}

// ---- Code ------------------------------------------------------------------------------------

// The colours are in style.css, one class for each kind of word. Numbers of lines are links.
const classes = {
  pre(node) {
    node.properties.class = 'code'
    node.properties.style = isNumbered(this) ? `--rows: ${this.source.split('\n').length}` : undefined
  },
  line(node, number) {
    node.children = node.children.map(withClass)
    if (this.options.lang === 'console' && /^[$>] /.test(this.source.split('\n')[number - 1])) {
      node.properties.class = 'line command'
    }
    if (!isNumbered(this)) return
    node.properties.id = `L${number}`
    const text = { type: 'text', value: String(number) }
    node.children.unshift({
      type: 'element',
      tagName: 'a',
      properties: { class: 'number', href: `#L${number}` },
      children: [text]
    })
  }
}

function isNumbered({ options }) {
  return options.meta?.__raw?.includes('numbered')
}

function withClass(word) {
  const kind = word.properties?.style?.match(/--c-token-([\w-]+)/)?.[1]
  return kind ? { ...word, properties: { class: kind } } : word.children[0]
}

// ---- Markdown --------------------------------------------------------------------------------

function extend(markdown) {
  const { fence, code_block: indented, code_inline: quoted } = markdown.renderer.rules
  Object.assign(markdown.renderer.rules, {
    // Buttons need JavaScript, so client/book.js adds them.
    fence(tokens, index, ...rest) {
      const info = tokens[index].info
      const html = fence(tokens, index, ...rest).replace(
        /<button[^>]*><\/button><span class="lang">.*?<\/span>/,
        ''
      )
      return html + placeLink(info, tokens[index].content, rest[1])
    },
    code_block: (...all) => indented(...all).replace('<pre', '<pre class="code" tabindex="0"'),
    // The corner of a table may be empty, but then it is no header.
    th_open: (tokens, index) => (tokens[index + 1].content === '' ? '<td>' : '<th>'),
    th_close: (tokens, index) => (tokens[index - 1].content === '' ? '</td>' : '</th>'),
    // The name of a file that has a page is a link to it.
    code_inline(tokens, index, ...rest) {
      const html = quoted(tokens, index, ...rest)
      const name = tokens[index].content
      const isLinked = tokens[index - 1]?.type === 'link_open'
      return pages[name] && !isLinked ? `<a href="${addressOf(name)}">${html}</a>` : html
    }
  })
}

// Where a block of a lesson's program stands in it.
function placeLink(info, content, env) {
  const [, file] = info.match(/^c (lessons\/\S+\/main\.c)$/) ?? []
  if (file === undefined) return ''
  const source = readFileSync(join(repository, file), 'utf8').split('\n')
  const [line] = placeOf(content.trimEnd().split('\n'), source)
  if (line === undefined) return ''
  const page =
    posix.join(posix.dirname(file), 'index.md') === env.relativePath
      ? ''
      : `/${posix.dirname(file)}/index.html`
  return `<a class="place" href="${page}#L${line}">${page ? file : 'main.c'}, line ${line}</a>`
}

// ---- While writing ---------------------------------------------------------------------------

// scripts/book --serve: what has been saved is generated anew, and VitePress shows it.
const regenerate = {
  name: 'regenerate',
  configureServer({ watcher }) {
    const sources = ['README.md', 'CONTRIBUTING.md', 'bench', 'book', 'lessons', 'shared', 'tests']
    watcher.add(sources.map((name) => join(repository, name)))
    watcher.on('change', (file) => {
      if (file.startsWith(dirname(here))) return
      try {
        generate(repository, dirname(here))
      } catch (error) {
        console.error(`${file}: ${error.message}`) // half-written, perhaps: the next save comes
      }
    })
  }
}

// ---- The site --------------------------------------------------------------------------------

// From a folder of any name: nothing begins at the root of the server. And a folder's page is
// named, for those who open the files without a server.
function withRelativeLinks(html, page) {
  const root = '../'.repeat(page.split('/').length - 1) || './'
  return html
    .replace(/^.*vp-icons\.css.*\n/m, '')
    .replace(/(<[a-z][^<>]*? (?:href|src|data-traces)=")\/(?!\/)/g, `$1${root}`)
    .replace(/(<a [^<>]*?href="[^":#]*\/)(?=["#])/g, '$1index.html')
}

const title = readFileSync(join(repository, 'README.md'), 'utf8').match(/^# (.*)$/m)[1]

export default defineConfig({
  title,
  titleTemplate: ':title',
  description: title,
  lang: 'en',
  mpa: true,
  appearance: false,
  markdown: {
    theme: createCssVariablesTheme({ name: 'variables', variablePrefix: '--c-' }),
    codeTransformers: [classes],
    headers: { level: [2, 2] },
    config: extend
  },
  vite: { plugins: [regenerate] },
  themeConfig: {
    lessons: entriesOf((path) => /^lessons\/[^/]+\/README\.md$/.test(path)),
    more: entriesOf((path) => path.endsWith('.md') && !path.startsWith('lessons/') && path !== 'README.md'),
    shared: entriesOf((path) => path.endsWith('.h'))
  },
  head: [
    ['link', { rel: 'icon', href: 'data:,' }],
    [
      'script',
      {},
      "const theme = localStorage.getItem('theme'); if (theme) document.documentElement.className = theme"
    ],
    ['script', { type: 'module', src: '/book.js' }]
  ],
  transformHtml: (html, file, { page }) => withRelativeLinks(html, page)
})

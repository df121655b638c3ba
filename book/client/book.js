// What the pages can do where there is JavaScript: without it they can be read.

const root = new URL('.', import.meta.url)

// Does it all, once for each page.
function enhance() {
  addTools()
  addCopyButtons()
  if (new URLSearchParams(location.search).has('present')) begin('present')
  if (document.querySelector('figure.replay')) begin('replays')
  rememberView()
}

window.enhance = enhance // for VitePress while writing, which shows page after page
enhance()

// The parts that few need are loaded when they are needed.
async function begin(part) {
  const { run } = await import(new URL(`${part}.js`, root))
  await run()
}

function makeButton(text, action) {
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = text
  button.addEventListener('click', action)
  return button
}

// ---- Tools -----------------------------------------------------------------------------------

function addTools() {
  const tools = document.querySelector('.tools')
  if (tools === null || tools.children.length > 0) return
  const theme = makeButton('◐', changeTheme)
  theme.title = theme.ariaLabel = 'Light or dark'
  tools.append(
    makeButton('Search', () => begin('search')),
    theme
  )
  document.addEventListener('keydown', (event) => {
    if (event.key === 'k' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      begin('search')
    }
  })
}

function changeTheme() {
  const { classList } = document.documentElement
  const isDark =
    classList.contains('dark') ||
    (!classList.contains('light') && matchMedia('(prefers-color-scheme: dark)').matches)
  classList.remove('dark', 'light')
  classList.add(isDark ? 'light' : 'dark')
  localStorage.setItem('theme', isDark ? 'light' : 'dark')
}

// ---- Copying ---------------------------------------------------------------------------------

// Only a page from this machine, or with TLS, may use the clipboard.
function addCopyButtons() {
  if (navigator.clipboard === undefined) return
  for (const block of document.querySelectorAll('div[class^="language-"]:not(:has(.copy))')) {
    const button = makeButton('Copy', async () => {
      await navigator.clipboard.writeText(textOf(block))
      button.textContent = 'Copied'
      button.addEventListener('blur', () => (button.textContent = 'Copy'), { once: true })
    })
    button.className = 'copy'
    block.append(button)
  }
}

// The code without the numbers of its lines; of a session only the commands.
function textOf(block) {
  const code = block.querySelector('code').cloneNode(true)
  for (const number of code.querySelectorAll('.number')) number.remove()
  if (!block.classList.contains('language-console')) return code.textContent
  const lines = code.textContent.split('\n')
  return lines
    .filter((line) => /^[$>] /.test(line))
    .map((line) => line.slice(2))
    .join('\n')
}

// ---- Differences -----------------------------------------------------------------------------

function rememberView() {
  for (const input of document.querySelectorAll('.views input')) {
    input.checked = input.value === (localStorage.getItem('view') ?? 'unified')
    input.addEventListener('change', () => localStorage.setItem('view', input.value))
  }
}

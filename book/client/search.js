// The search: Pagefind looks, in what scripts/book has indexed, without a network.

const dialog = document.createElement('dialog')
dialog.setAttribute('aria-label', 'Search')
dialog.innerHTML = `
  <input type="search" aria-label="Search for" placeholder="Search for">
  <p role="status"></p>
  <ol></ol>`
const [input, status, list] = dialog.children
document.body.append(dialog)
dialog.addEventListener('click', (event) => {
  if (event.target === dialog || event.target.closest('a')) dialog.close()
})

let pagefind

export async function run() {
  if (!dialog.open) dialog.showModal()
  input.select()
  if (pagefind !== undefined) return
  try {
    pagefind = await import('./pagefind/pagefind.js')
  } catch {
    status.textContent = 'There is no index here: scripts/book makes one, scripts/book --serve does not.'
    return
  }
  input.addEventListener('input', show)
  await show()
}

async function show() {
  const found = await pagefind.debouncedSearch(input.value)
  if (found === null) return // it is searched for something else by now
  const pages = await Promise.all(found.results.slice(0, 10).map((result) => result.data()))
  status.textContent = input.value === '' ? '' : `${found.results.length} ${found.results.length === 1 ? 'page' : 'pages'}`
  list.replaceChildren(...pages.map(entryOf))
}

// A page: its best section, and the words around what was found.
function entryOf(page) {
  const best = page.sub_results.find((section) => section.url.includes('#')) ?? page
  const link = document.createElement('a')
  link.href = best.url
  link.textContent =
    best.title === page.meta.title || best === page ? page.meta.title : `${page.meta.title}: ${best.title}`
  const excerpt = document.createElement('p')
  excerpt.innerHTML = best.excerpt // escaped by Pagefind, but for its own <mark>
  const entry = document.createElement('li')
  entry.append(link, excerpt)
  return entry
}

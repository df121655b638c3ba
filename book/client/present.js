// ?present: a lesson as steps in large type: what is new, each part of the difference, the run.
// Left and right go back and forth, Escape ends it. The address keeps the step.

const previous = ['ArrowLeft', 'PageUp']
const next = ['ArrowRight', 'PageDown', ' ']

let steps
let current

export function run() {
  steps = [...document.querySelectorAll('.step:not(figure)'), ...document.querySelectorAll('figure.step')]
  if (steps.length === 0 || document.querySelector('.steps') !== null) return
  document.body.classList.add('presenting')
  document.body.append(makeControls())
  document.addEventListener('keydown', onKey)
  show((parseInt(new URLSearchParams(location.search).get('present')) || 1) - 1)
}

function makeControls() {
  const controls = document.createElement('nav')
  controls.className = 'steps'
  controls.setAttribute('aria-label', 'Steps')
  controls.innerHTML = `
    <h1></h1>
    <button type="button" aria-label="Back">←</button>
    <span role="status"></span>
    <button type="button" aria-label="Forth">→</button>
    <button type="button" aria-label="End">✕</button>`
  controls.querySelector('h1').textContent = document.title
  const [back, forth, close] = controls.querySelectorAll('button')
  back.addEventListener('click', () => show(current - 1))
  forth.addEventListener('click', () => show(current + 1))
  close.addEventListener('click', end)
  return controls
}

function show(step) {
  current = Math.max(0, Math.min(step, steps.length - 1))
  steps.forEach((element, i) => element.classList.toggle('current', i === current))
  document.querySelector('.steps [role=status]').textContent = `${current + 1} of ${steps.length}`
  setParameter(String(current + 1))
  scrollTo(0, 0)
}

function end() {
  document.body.classList.remove('presenting')
  document.querySelector('.steps').remove()
  document.removeEventListener('keydown', onKey)
  setParameter(null)
  steps[current].scrollIntoView()
}

function setParameter(value) {
  const address = new URL(location)
  if (value === null) address.searchParams.delete('present')
  else address.searchParams.set('present', value)
  history.replaceState(null, '', address)
}

// Keys that are for what has the focus, such as the replay's slider, are left to it.
function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest('dialog')) return
  if (event.target.closest('input, select, button, summary') && event.key !== 'Escape') return
  if (previous.includes(event.key)) show(current - 1)
  else if (next.includes(event.key)) show(current + 1)
  else if (event.key === 'Home') show(0)
  else if (event.key === 'End') show(steps.length - 1)
  else if (event.key === 'Escape') end()
  else return
  event.preventDefault()
}

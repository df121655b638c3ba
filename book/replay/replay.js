// Replays real runs of lessons: who fetched which page when, and what was printed when.
//
// mount(figure) replays the lesson that <figure data-lesson="03-thread-pool" data-traces="traces/">
// names: traces/03-thread-pool.json is its trace (scripts/figures has made it), traces/index.json
// the lessons that it can be compared with. If they cannot be loaded, what is in the figure, a
// picture, stays there.

// ---- The model: knows nothing of a document ------------------------------------------------

// What happened in a run, from the events of its trace. Times are in seconds from the start of
// the program. A lane is a worker; but "main", which is alone, has a lane for each page.
export function readTrace(trace) {
  const pages = []
  const lines = []
  const lanes = new Map()
  for (const event of trace) {
    const begin = event.ts / 1e6
    const end = (event.ts + event.dur) / 1e6
    if (event.cat === 'page') {
      const { worker, number, error } = event.args
      const name = event.name.split('/').pop()
      const page = { name, worker, number, error, begin, end, phases: [] }
      const lane = worker === 'main' ? number : worker
      pages.push(page)
      lanes.set(lane, [...lanes.get(lane) ?? [], page])
    } else if (event.cat === 'phase') { // of the page before it
      pages.at(-1).phases.push({ name: event.name, seconds: event.dur / 1e6 })
    } else if (event.cat === 'output') {
      lines.push({ time: begin, text: event.name })
    }
  }
  const ends = pages.map((page) => ({ time: page.end, text: tellEnd(page) }))
  const events = [...ends, ...lines].sort((a, b) => a.time - b.time)
  return { pages, lines, lanes: [...lanes.values()], events, end: events.at(-1).time }
}

function tellEnd({ worker, name, error }) {
  return error ? `${worker} has failed to fetch ${name}: ${error}` : `${worker} has fetched ${name}`
}

// What is to be seen at a moment: how many lines, and how long each page's bar is, in seconds.
export function stateAt(run, time) {
  return {
    lines: run.lines.filter((line) => line.time <= time).length,
    bars: run.pages.map((page) => Math.max(0, Math.min(time, page.end) - page.begin))
  }
}

// When the next thing happens in any of the runs; undefined after the last.
export function nextTime(runs, time) {
  const later = runs.flatMap((run) => run.events.map((event) => event.time)).filter((t) => t > time)
  return later.length > 0 ? Math.min(...later) : undefined
}

// The last event of all the runs that has happened, and the title of its run; or undefined.
export function lastEvent(runs, time) {
  return runs.flatMap((run) => run.events.map((event) => ({ ...event, title: run.title })))
    .filter((event) => event.time <= time).sort((a, b) => a.time - b.time).at(-1)
}

export function tellPhases(page) {
  const phases = page.phases.map(({ name, seconds }) => `${name} ${(seconds * 1e3).toFixed(2)} ms`)
  return `${page.name}, ${page.worker}, ${tellTime(page.begin)} to ${tellTime(page.end)}: ` +
    phases.join(', ')
}

function tellTime(time) {
  return `${time.toFixed(3)} s`
}

// ---- The document --------------------------------------------------------------------------

const SPEEDS = { 1: 1, '1/2': 0.5, '1/4': 0.25, '1/10': 0.1 }

function make(name, attributes, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

function makeButton(label, whenPressed) {
  const button = make('button', { type: 'button' }, label)
  button.addEventListener('click', whenPressed)
  return button
}

// Options: the value of each, and its text.
function makeSelect(options, chosen) {
  const select = make('select', {}, ...options.map(([value, text]) => new Option(text, value)))
  select.value = chosen
  return select
}

// Draws a run, on an axis of so many seconds. `show` shows what is to be seen at a moment. What
// comes later is there already, but hidden: so nothing moves.
function drawRun(run, seconds) {
  const percent = (time) => `${(100 * time) / seconds}%`
  const phases = make('p', { class: 'replay-phases' }, 'Point at a bar, or tab to it: its phases.')
  const bars = new Map(run.pages.map((page) => [page, drawBar(page, percent, phases)]))
  const head = make('div', { class: 'replay-head' })
  const lines = run.lines.map((line) => make('span', {}, line.text))
  const element = make('section', { class: 'replay-run', 'aria-label': run.title },
    make('p', { class: 'replay-title' }, run.title),
    drawLanes(run, bars, head, drawAxis(seconds, percent)),
    phases,
    make('pre', { class: 'replay-output' }, ...lines),
    listEvents(run))
  const show = (time) => {
    const state = stateAt(run, time)
    run.pages.forEach((page, i) => {
      bars.get(page).style.width = percent(state.bars[i])
      bars.get(page).classList.toggle('replay-later', time < page.begin)
    })
    lines.forEach((line, i) => line.classList.toggle('replay-later', i >= state.lines))
    head.style.left = percent(time)
  }
  return { element, show }
}

function drawBar(page, percent, phases) {
  const bar = make('button', { type: 'button', 'aria-label': tellPhases(page) }, page.name)
  bar.className = `replay-bar replay-colour-${page.number % 5}`
  bar.style.left = percent(page.begin)
  for (const kind of ['focus', 'pointerenter', 'click']) {
    bar.addEventListener(kind, () => phases.replaceChildren(tellPhases(page)))
  }
  return bar
}

// A row for each lane, below them the axis, and over them the line that is where the time is.
function drawLanes(run, bars, head, axis) {
  const rows = run.lanes.flatMap((pages, i) => {
    const style = `grid-row: ${i + 1}`
    const lane = make('div', { class: 'replay-lane', style }, ...pages.map((page) => bars.get(page)))
    return [make('span', { style }, pages[0].worker), lane]
  })
  const style = `grid-row: 1 / span ${run.lanes.length}`
  return make('div', { class: 'replay-lanes' }, ...rows, axis,
    make('div', { class: 'replay-heads', style }, head))
}

function drawAxis(seconds, percent) {
  const axis = make('div', { class: 'replay-axis', 'aria-hidden': 'true' })
  for (let time = 0; time <= seconds; time += seconds > 1 ? 0.5 : 0.25) {
    const tick = make('span', {}, time === 0 ? '0' : `${time} s`)
    tick.style.left = percent(time)
    axis.append(tick)
  }
  return axis
}

function listEvents(run) {
  const items = run.events.map(({ time, text }) => make('li', {}, `${tellTime(time)}: ${text}`))
  return make('details', {}, make('summary', {}, 'All that happens, as a list'),
    make('ol', {}, ...items))
}

// The controls, and the one clock of all the runs that are shown.
class Replay {
  // `first` is a run; `others` are the names and the titles of those that `load` loads.
  constructor(figure, first, others, load) {
    const isCalm = matchMedia('(prefers-reduced-motion: reduce)').matches
    Object.assign(this, { figure, first, load })
    this.playButton = makeButton('Play', () => (this.frame ? this.showAndTell(this.time) : this.play()))
    const stepButton = makeButton('Step', () => this.showAndTell(nextTime(this.runs, this.time) ?? 0))
    this.speed = makeSelect(Object.entries(SPEEDS).map(([text, value]) => [value, text]), 0.25)
    this.slider = make('input', { type: 'range', min: 0, step: 10, 'aria-label': 'Moment' })
    this.slider.addEventListener('input', () => this.slide())
    this.now = make('span', { class: 'replay-now' })
    this.other = makeSelect([['', 'no other lesson'], ...others], '')
    this.other.addEventListener('change', () => this.compare())
    this.status = make('p', { class: 'replay-status', role: 'status' })
    this.place = make('div', { class: 'replay-runs' })
    const moving = [this.playButton, stepButton, make('label', {}, 'Speed ', this.speed)]
    const controls = make('div', { class: 'replay-controls', role: 'group' },
      ...(isCalm ? [stepButton] : moving), this.slider, this.now,
      make('label', {}, 'Compare with ', this.other))
    controls.setAttribute('aria-label', 'Replay of a real run')
    figure.replaceChildren(controls, this.status, this.place)
    this.draw([first])
  }

  // Draws the runs on one axis, as they are at the end.
  draw(runs) {
    this.runs = runs
    this.end = Math.max(...runs.map((run) => run.end))
    this.views = runs.map((run) => drawRun(run, this.end))
    this.slider.max = 10 * Math.ceil(this.end * 100)
    this.place.replaceChildren(...this.views.map((view) => view.element))
    this.showAndTell(this.end)
  }

  show(time) {
    this.time = Math.min(time, this.end)
    this.slider.value = this.time === this.end ? this.slider.max : this.time * 1e3
    this.slider.setAttribute('aria-valuetext',
      `${this.time.toFixed(2)} of ${this.end.toFixed(2)} seconds`)
    this.now.textContent = tellTime(this.time)
    for (const view of this.views) view.show(this.time)
  }

  // Stays there, and says, to a screen reader too, what has just happened.
  showAndTell(time) {
    cancelAnimationFrame(this.frame)
    this.frame = undefined
    this.playButton.textContent = 'Play'
    this.show(time)
    const { title, text } = lastEvent(this.runs, this.time) ?? { text: 'Nothing has happened yet.' }
    this.status.textContent = title && this.runs.length > 1 ? `${title}: ${text}` : text
  }

  play() {
    if (this.time === this.end) this.show(0)
    this.status.textContent = ''
    this.playButton.textContent = 'Pause'
    this.before = performance.now()
    this.frame = requestAnimationFrame(() => this.playOn())
  }

  playOn() {
    const now = performance.now()
    const time = this.time + ((now - this.before) / 1e3) * this.speed.value
    this.before = now
    if (time >= this.end) return this.showAndTell(this.end)
    this.show(time)
    this.frame = requestAnimationFrame(() => this.playOn())
  }

  slide() {
    const { value, max } = this.slider
    this.showAndTell(value === max ? this.end : value / 1e3)
  }

  async compare() {
    const name = this.other.value
    try {
      const second = name === '' ? [] : [await this.load(name)]
      if (this.other.value === name) this.draw([this.first, ...second]) // unless it was changed meanwhile
    } catch (error) {
      this.status.textContent = `The run of ${name} cannot be loaded: ${error.message}`
    }
  }
}

async function loadJson(address) {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`${address}: ${response.status}`)
  return response.json()
}

export async function mount(figure) {
  if (figure.classList.contains('replay-mounted')) return
  figure.classList.add('replay-mounted')
  const { lesson, traces } = figure.dataset
  try {
    const lessons = await loadJson(`${traces}index.json`)
    const titles = new Map(lessons.map(({ number, name, title }) => [name, `Lesson ${number}: ${title}`]))
    const load = async (name) =>
      ({ ...readTrace(await loadJson(`${traces}${name}.json`)), title: titles.get(name) })
    const others = [...titles].filter(([name]) => name !== lesson)
    new Replay(figure, await load(lesson), others, load)
  } catch (error) {
    figure.classList.remove('replay-mounted')
    console.error('The picture stays, since the run cannot be replayed:', error)
  }
}

// Replaces the picture of each run by its replay (replay/replay.js).

export async function run() {
  const style = document.createElement('link')
  style.rel = 'stylesheet'
  style.href = new URL('replay/replay.css', import.meta.url)
  document.head.append(style)
  const { mount } = await import('./replay/replay.js')
  document.querySelectorAll('figure.replay').forEach(mount)
}

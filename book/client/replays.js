// Has each run that can be watched (replay/replay.js) take the place of its picture.

export async function run() {
  const style = document.createElement('link')
  style.rel = 'stylesheet'
  style.href = new URL('replay/replay.css', import.meta.url)
  document.head.append(style)
  const { mount } = await import('./replay/replay.js')
  document.querySelectorAll('figure.replay').forEach(mount)
}

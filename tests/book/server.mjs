// A web server that knows nothing of the site, and compresses nothing.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

// Serves the folder on a free port of this machine: { address, stop }.
export async function serve(folder) {
  const server = spawn(
    'python3',
    ['-u', '-m', 'http.server', '0', '--bind', '127.0.0.1', '--directory', folder],
    { stdio: ['ignore', 'pipe', 'ignore'] }
  )
  const [line] = await once(server.stdout, 'data')
  const [, port] = String(line).match(/port (\d+)/)
  return { address: `http://127.0.0.1:${port}/`, stop: () => server.kill() }
}

/** A redis-server on loopback that keeps nothing on disk. */
import { spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'

export interface RedisServer {
  readonly port: number
  stop(): void
}

/** Undefined when redis-server is not installed. */
export async function startRedis(): Promise<RedisServer | undefined> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined
  const port = randomInt(15_000, 32_000)
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tmpdir()]
  const child = spawn('redis-server', settings, { stdio: 'ignore' })
  const stop = (): void => {
    process.off('exit', stop)
    child.kill('SIGKILL')
  }
  process.once('exit', stop)
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await accepts(port)) return { port, stop }
    await delay(10)
  }
  stop()
  throw new Error('redis-server did not start within 5 s')
}

function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    const done = (accepted: boolean): void => {
      socket.destroy()
      resolve(accepted)
    }
    socket.once('connect', () => done(true)).once('error', () => done(false))
  })
}

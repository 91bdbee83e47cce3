/** One of two processes that pass a session on by the bare commands on bare sockets: the least that a hand-off takes on this machine. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve, sharedNowMs } from '../support/child.js'

/** The answers to a save and to the deletion of the lock; to the lock and the record of two lines. */
const GIVEN_LINES = 2
const TAKEN_LINES = 4

let server: Socket
let neighbour: Socket
let ring: () => void = () => undefined

async function connected(to: number | string): Promise<Socket> {
  const socket = typeof to === 'number' ? connect(to, '127.0.0.1') : connect(to)
  await once(socket, 'connect')
  return socket.setNoDelay(true)
}

async function ask(commands: string, lines: number): Promise<void> {
  server.write(commands, 'latin1')
  for (let answer = ''; answer.split('\r\n').length <= lines;) answer += String((await once(server, 'data'))[0])
}

const api = {
  async open({ port, bell }: { port: number; bell: string }): Promise<void> {
    server = await connected(port)
    const door = createServer((visitor) => visitor.on('data', () => ring()))
    await once(door.listen(bell), 'listening')
  },

  async visit(bell: string): Promise<void> {
    neighbour = await connected(bell)
  },

  /** Works for a while, stores the session and lets go; says when it began to store. */
  async giveAfter(holdMs: number): Promise<number> {
    await sleep(holdMs)
    const gaveAtMs = sharedNowMs()
    await ask('set bare 0 60 7\r\n{"n":1}\r\ndelete bare-lck\r\n', GIVEN_LINES)
    neighbour.write('.')
    return gaveAtMs
  },

  /** Waits for the bell; says when it had the lock and the session. */
  async take(_: null): Promise<number> {
    await new Promise<void>((resolve) => (ring = resolve))
    await ask('add bare-lck 0 60 1\r\n.\r\nget bare\r\n', TAKEN_LINES)
    return sharedNowMs()
  },
}

export type BareWorker = typeof api
serve(api)

import { createConnection, createServer, type Socket } from 'node:net'
import type { Random } from '../system/random.js'
import { doorPath, isOurs, sweepDoors } from './door-directory.js'
import { LineLink } from './line-link.js'
import type { Door, DoorOwner, Link, LinkEnd, LinkOwner, Neighbours } from './neighbours.js'

/** As many processes as may wait here at once; one more is sent away, and polls. */
const MAX_CALLERS = 512
const NAME_BYTES = 10

/**
 * Unix sockets in a directory that only this user can enter: a door is a socket of a random name, which no other door
 * has ever had. Windows has none of them, and processes there poll.
 */
export class UnixNeighbours implements Neighbours {
  constructor(
    private readonly directory: string,
    private readonly random: Random,
  ) {}

  open(owner: DoorOwner): Door {
    const name = Buffer.from(this.random.bytes(NAME_BYTES)).toString('hex')
    const path = doorPath(this.directory, name)
    if (process.platform === 'win32' || path === undefined || !isOurs(this.directory)) return CLOSED
    const callers = new Set<Socket>()
    const server = createServer((socket) => {
      callers.add(socket)
      socket.on('close', () => callers.delete(socket))
      admit(socket, owner)
    })
    server.maxConnections = MAX_CALLERS
    server.unref()
    server.on('error', () => {
      // Without a door this process is waited for by polls, as one on another host is.
    })
    // Not shared by the workers of a cluster: their primary process would answer for all of them.
    server.listen({ path, exclusive: true })
    // A unix socket listens at once: even the first lock of a process says where to wait for it.
    if (server.listening) owner.onOpen(name)
    sweepDoors(this.directory, Date.now())
    return {
      close() {
        // Takes the socket's file away before it stops listening: a door that is missing says nothing of its process.
        server.close()
        for (const socket of callers) socket.destroy()
      },
    }
  }

  call(address: string, owner: LinkOwner): Link {
    const path = doorPath(this.directory, address)
    if (path === undefined || !isOurs(this.directory)) return unreachable(owner)
    return new LineLink(createConnection(path), owner, howConnecting)
  }
}

const CLOSED: Door = {
  close() {
    // There is none.
  },
}

function admit(socket: Socket, owner: DoorOwner): void {
  // What comes is told in a later turn of the event loop, when both are made.
  const caller: LinkOwner = {
    onLine: (line) => {
      told.onLine(line)
    },
    onEnd: (how) => {
      told.onEnd(how)
    },
  }
  const told = owner.onCaller(new LineLink(socket, caller, () => 'ended'))
}

/**
 * Where nobody listens behind a socket's file its process has ended. Linux says so; other systems say the same when a
 * living process has too many callers, so it proves nothing there.
 */
function howConnecting(error: Error): LinkEnd {
  const code = 'code' in error ? error.code : undefined
  if (code === 'ECONNREFUSED') return process.platform === 'linux' ? 'refused' : 'unreachable'
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'EAGAIN' ? 'ended' : 'unreachable'
}

function unreachable(owner: LinkOwner): Link {
  let isOver = false
  setImmediate(() => {
    if (!isOver) owner.onEnd('unreachable')
  })
  return {
    send() {
      // Nobody is there.
    },
    close() {
      isOver = true
    },
  }
}

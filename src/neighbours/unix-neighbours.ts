import { createConnection, createServer, type Socket } from 'node:net'
import type { Random } from '../system/random.js'
import { doorPath, isOurs, sweepDoors } from './door-directory.js'
import { LineLink } from './line-link.js'
import type { Door, DoorOwner, Link, LinkEnd, LinkOwner, Neighbours } from './neighbours.js'

/** How many processes may wait here at once. A further one is sent away, and polls instead. */
const MAX_CALLERS = 512
const NAME_BYTES = 10

/**
 * Connects processes by unix sockets in a directory that only this user can enter. A door is a socket with a random
 * name that no other door has ever had. Windows has no such sockets; processes there poll.
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
      // This process has no door then: others wait for it by polling, as for a process on another host.
    })
    try {
      // `exclusive`: in a cluster the primary process would otherwise listen for its workers, and answer for all of them.
      server.listen({ path, exclusive: true })
    } catch {
      // Node's permission model may forbid it, for example. The bell is only a hint, so no request may fail without it.
      return CLOSED
    }
    // A unix socket listens at once, so that even the first lock of a process says where to wait.
    if (server.listening) owner.onOpen(name)
    void sweepDoors(this.directory, Date.now())
    return {
      close() {
        // Node removes the socket's file before it stops listening. In the other order a caller would be refused, and
        // would believe that this process has ended; a missing door says nothing.
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
    // There is no door to close.
  },
}

function admit(socket: Socket, owner: DoorOwner): void {
  // The link and its owner need each other. Lines arrive in a later turn of the event loop, when both have been made.
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
 * What an error of a connection attempt means. ECONNREFUSED says that nobody listens behind the socket's file, so that
 * its process has ended. That holds on Linux only: other systems say the same when a living process has too many
 * callers.
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

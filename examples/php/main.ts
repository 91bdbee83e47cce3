/**
 * A shop that moves from PHP to Node route by route: `npm run example:php`. Half of its routes are PHP's, half Express's,
 * behind one front, with one cookie, one session and one lock.
 *
 * Exit code 0: nothing that was put into a cart is missing, and every logout held on both sides; 1: not so, or it could not run.
 */
import { createServer } from 'node:http'
import { once } from 'node:events'
import { SessionManager } from 'latchkey'
import { runExample } from '../cluster/command-line.js'
import { startMemcached } from '../cluster/own-memcached.js'
import { portOfServer, startFront } from './front.js'
import { checkPhp, PhpMissingError, startPhp } from './php-server.js'
import { isComplete, play, RefusedError, type Result } from './play.js'
import { shop } from './shop.js'

const USAGE = `Usage: npm run example:php [-- --json | --help]

A shop of which half is PHP (php -S) and half is Express, with one session in
memcached: visitors log in on one side, fill their cart on both at once, and
log out on the other.

  --json   print one JSON object and nothing else
  --help   print this

It starts a memcached and a PHP of its own. Needed: memcached, and PHP with
php-memcached (apt-get install memcached php-cli php-memcached).

Exit code: 0 nothing was lost and every logout held; 1 otherwise or when it
could not run; 2 for a wrong argument; 130 after ctrl-C.`

const PHP_PROCESSES = 6

/** PHP, Node and the front, for as long as it is played. */
async function open(signal: AbortSignal, tell: (line: string) => void): Promise<Result> {
  checkPhp()
  const memcached = await startMemcached(signal)
  try {
    const php = await startPhp(memcached.address, PHP_PROCESSES, signal)
    const manager = new SessionManager({
      savePath: `tcp://${memcached.address}`,
      deadlineMs: 10_000,
      // As PHP is set up (php-server.ts), and as `npx latchkey doctor --php` says it.
      php: { extension: 'memcached', standBackMs: 20 },
    })
    const node = createServer(shop(manager)).listen(0, '127.0.0.1')
    try {
      await once(node, 'listening')
      const front = await startFront((path) => (path.startsWith('/php/') ? php.port : portOfServer(node)))
      try {
        const origin = `http://127.0.0.1:${String(portOfServer(front))}`
        tell(`One front, ${origin}: /php is PHP (127.0.0.1:${String(php.port)}, ${String(PHP_PROCESSES)} processes),`)
        tell(`all else is Express; their sessions are in memcached ${memcached.address}`)
        return await play(origin, AbortSignal.any([signal, php.failed]), tell)
      } finally {
        front.closeAllConnections()
        front.close()
      }
    } finally {
      node.closeAllConnections()
      node.close()
      await manager.close({ graceMs: 1000 })
      await php.stop()
    }
  } finally {
    await memcached.stop()
  }
}

function drawn(result: Result): string {
  const { expected, kept, phpServed, nodeServed } = result.figures
  const who = `PHP served ${String(phpServed)} requests, Node ${String(nodeServed)}.`
  if (isComplete(result)) return `\n  All ${String(expected)} things are in the carts, and every logout held on both sides.\n  ${who}\n\n`
  const { known, loggedOut, visitors } = result
  const people = `${String(known)} of ${String(visitors)} visitors were known on both sides, ${String(loggedOut)} were logged out on both.`
  return `\n  ${String(kept)} of ${String(expected)} things are in the carts. ${people}\n  ${who}\n  That is not as it should be.\n\n`
}

async function playShop(isJson: boolean, signal: AbortSignal): Promise<boolean> {
  const result = await open(signal, isJson ? () => undefined : (line) => void process.stdout.write(`  ${line}\n`))
  process.stdout.write(isJson ? `${JSON.stringify(result.figures)}\n` : drawn(result))
  return isComplete(result)
}

process.exitCode = await runExample({ name: 'php', usage: USAGE, known: [PhpMissingError, RefusedError], play: playShop }, process.argv.slice(2))

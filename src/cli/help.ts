/** What the tool says of itself. */
import { SAVE_PATH_VARIABLES } from '../wire/open-wire.js'

type Flag = 'mutex' | 'yes' | 'values' | 'ids' | 'count' | 'mirror'

interface CommandHelp {
  /** What follows the name: a session id, two save paths, the name of a proxy, or addresses of live pages. */
  readonly takes?: 'id' | 'stores' | 'proxy' | 'urls'
  readonly flags: readonly Flag[]
  readonly summary: string
  readonly text: string
}

export const COMMAND_NAMES = ['doctor', 'locks', 'holder', 'inspect', 'unlock', 'stats', 'copy', 'repair', 'watch', 'proxy-config'] as const
export type CommandName = (typeof COMMAND_NAMES)[number]

export const COMMANDS: Readonly<Record<CommandName, CommandHelp>> = {
  doctor: {
    flags: [],
    summary: 'reach every server, play a session on it, and say what is wrong and what to change',
    text: `  --php <file>   look at PHP's settings instead, for sessions that PHP and Node share: a php.ini, the output of
                 "php -i", or the page of phpinfo(); - is standard input. Says what must change on which side, and what
                 to write for Node. Asks no server.

  --proxy-file <file>   the configuration of the proxy that the servers are reached through (?via=...): it is looked
                        through for what playing sessions does not show

Exit code 0: nothing is wrong (there may be advice). 1: a problem. 3: a server cannot be reached.

Examples:
  latchkey doctor --servers 127.0.0.1:11211
  LATCHKEY_SAVE_PATH='tls://user:secret@cache:11211' latchkey doctor --json
  php -i | latchkey doctor --php -`,
  },
  locks: {
    flags: ['ids'],
    summary: 'every lock that is held now: by whom, since when',
    text: `Sessions are shown by a short hash of their ids, because whoever has an id is that visitor. Locks that the application
takes by a name (manager.mutex) are shown by their names.

  --ids   show the session ids themselves

Examples:
  latchkey locks --servers 10.0.0.1:11211,10.0.0.2:11211
  latchkey locks --ids --json | jq -r '.locks[0].id'`,
  },
  holder: {
    takes: 'id',
    flags: ['mutex'],
    summary: 'who holds the lock of one session, or a named lock',
    text: `  --mutex   what is given is the name of a lock (manager.mutex), and no session id

Exit code 0: it is held. 1: it is free.

Examples:
  latchkey holder 6q5n0v3f8o2k1s9d4h7a6q5n0v3f8o2k
  pbpaste | latchkey holder -
  latchkey holder --mutex nightly-report`,
  },
  inspect: {
    takes: 'id',
    flags: ['values'],
    summary: 'one session as it is stored, decoded; values hidden',
    text: `Shows names and types; the values may be anything that visitors told the application.

  --values   show the values as well

Exit code 0: it is there. 1: it is not, or cannot be read.

Examples:
  latchkey inspect 6q5n0v3f8o2k1s9d4h7a6q5n0v3f8o2k
  latchkey inspect --values --json - < id.txt`,
  },
  unlock: {
    takes: 'id',
    flags: ['mutex', 'yes'],
    summary: 'take the lock off one session, if it is still the lock that was shown',
    text: `Shows the holder and asks. The holder is not stopped: it learns that its lock was lost, and of two writers
the second is refused. A lock whose holder died goes away by itself within leaseSec.

  -y, --yes   do not ask (needed when there is no terminal)
  --mutex     what is given is the name of a lock (manager.mutex), and no session id. Its holder learns at its next renewal that
              it is lost; until then two may work at once

Exit code 0: unlocked. 1: not locked, or you said no. 4: the lock changed meanwhile, and was left alone.

Examples:
  latchkey unlock 6q5n0v3f8o2k1s9d4h7a6q5n0v3f8o2k
  latchkey unlock --yes - < id.txt`,
  },
  stats: {
    flags: ['count'],
    summary: 'numbers of every server: memory, evictions, connections, hits',
    text: `  --count   count the sessions and locks under the prefix as well (lists every key of the server)

Examples:
  latchkey stats --servers 127.0.0.1:11211
  latchkey stats --count --json`,
  },
  copy: {
    takes: 'stores',
    flags: ['mirror'],
    summary: 'every session of one store to another one, while both are used',
    text: `Each session is locked while it is read. One that is there already is not written again, so that a copy that was
cut off (ctrl-C) is gone on with by the same command. One that differs there is left alone, but for

  --mirror   the other store becomes what this one is: what differs is overwritten, and what is gone is removed.
             Until the application uses the other store, and never after.
  --php      both stores have PHP's sessions (php-memcached); a session is not turned from one product's into another's

Exit code 0: all are there. 1: some stayed locked, or failed; run it again.

Examples:
  latchkey copy file:/var/lib/myapp/sessions tcp://10.0.0.1:11211
  latchkey copy --mirror file:/var/lib/myapp/sessions tcp://10.0.0.1:11211`,
  },
  repair: {
    flags: [],
    summary: 'put every session on all of its nodes again (replicas), while they are used',
    text: `For a save path with ?replicas=3, when a node has come back empty, or with what it had a while ago. Each session that is not the
same on all of its nodes is locked and stored anew, with the lifetime that it has left; then the nodes that came back
empty are marked as whole. May be cut off (ctrl-C) and run again, and run twice at once.

With the save path of a change (?change=joins, ?change=leaves) it carries every session over to the new list. Before, every
process must have that save path; when it has ended with 0, and not before, every process gets the new list, one by one.

Exit code 0: every session is on all nodes that were asked, and these are whole. 1: some stayed locked, or failed, or a node was
emptied again; run it again. 3: a node did not answer, which may be the one that is to be repaired.

Examples:
  latchkey repair --save-path tcp://10.0.0.1,tcp://10.0.0.2,tcp://10.0.0.3?replicas=3
  latchkey repair --save-path tcp://10.0.0.1,tcp://10.0.0.2,tcp://10.0.0.3?change=leaves,tcp://10.0.0.4?change=joins&replicas=3
  latchkey repair --json`,
  },
  watch: {
    takes: 'urls',
    flags: [],
    summary: 'the live page of running processes, merged: who holds, who waits, and why',
    text: `The processes have mounted latchkey/inspector; their pages are what is named. Serves a page on 127.0.0.1 until ctrl-C, and asks
the processes for nothing while nobody looks at it. A save path has no events: "locks" shows who holds what.

  --header <text>   sent to each, for its guard; may be given again: --header 'Authorization: Basic b3BzOi4uLg=='
  --port <number>   where the page is (default: a free port)

Exit code 0: ended by ctrl-C. 3: none of them can be looked at.

Examples:
  latchkey watch http://10.0.0.1:3000/latchkey http://10.0.0.2:3000/latchkey
  latchkey watch https://shop.example/latchkey --header X-Ops:secret`,
  },
  'proxy-config': {
    takes: 'proxy',
    flags: [],
    summary: 'write the configuration of a proxy before the servers: twemproxy, memcached or mcrouter',
    text: `Prints it as text, with a reason for each line; asks no server.

  --for sharding   each session on one of the servers (the default); for a save path with ?via=
  --for quorum     the proxy as a pipe to each server, for sessions that are kept on several of them
  --for cache      copies on all servers, for what the application may lose (mcrouter). Not for sessions

Examples:
  latchkey proxy-config twemproxy --servers 10.0.0.1:11211,10.0.0.2:11211
  latchkey proxy-config mcrouter --for cache --servers 10.0.0.1,10.0.0.2,10.0.0.3`,
  },
}

/** What `--php` is, but to the doctor. */
export const PHP_FORM = '--php is memcached, memcache, or the manager\'s option php as JSON: {"extension": "memcached", "ring": "modula"}.'

const TITLE = 'latchkey: session locks, for operators'

const GENERAL = `
Options of every command:
  --servers, --save-path <path>  the servers, as in the manager's savePath: 10.0.0.1:11211,10.0.0.2:11211?weight=2,
                                 tls://user:password@host, unix:///run/memcached.sock
                                 (default: ${SAVE_PATH_VARIABLES.map((name) => `$${name}`).join(', else ')}; a password is best kept there)
  --prefix <text>                the manager's prefix (default: sess:)
  --php <memcached|memcache>     the sessions are shared with PHP; or all of the manager's option php, as JSON
  --deadline-ms <number>         how long a server may take to answer (30 to 60000, default: 3000)
  --json, --human                what to print (default: text on a terminal, JSON elsewhere)
  -h, --help                     this, or of a command: latchkey unlock --help
  -V, --version

Exit codes: 0 fine, 1 a problem or not there, 2 wrong usage, 3 a server cannot be reached, 4 refused because it changed,
5 the server cannot do it, 130 interrupted.`

function formOf(command: CommandName): string {
  const { takes } = COMMANDS[command]
  return takes === undefined ? command : `${command} ${{ id: '<id>', stores: '<from> <to>', proxy: '<proxy>', urls: '<url>...' }[takes]}`
}

export function helpOf(command: CommandName | undefined): string {
  if (command === undefined) {
    const list = COMMAND_NAMES.map((name) => {
      return `  ${formOf(name).padEnd(20)}  ${COMMANDS[name].summary}`
    })
    return [TITLE, '', 'Usage: latchkey <command> [options]', '', ...list, GENERAL, ''].join('\n')
  }
  const { summary, text } = COMMANDS[command]
  return `latchkey ${formOf(command)} [options]: ${summary}.\n\n${text}\n${GENERAL}\n`
}

/**
 * memcached's text protocol (protocol.txt of memcached 1.6), to memcached itself and through proxies.
 *
 * Records and locks are stored by `add` and `cas`, which leave the old item alone when they are refused. Neither says
 * the new CAS, so that the item is read behind it, once for this and for the reads of it that come next; the CAS found there is
 * taken as ours only if bytes and flags are ours. How items are read, compare-and-delete and a touch that tells the CAS are
 * said, see text-words.ts.
 */
import { isAscii } from 'node:buffer'
import type { Credentials } from '../socket/address.js'
import { AuthenticationError, ProtocolError } from '../socket/codec.js'
import type { Codec, CodecContext, MakeCodec } from '../socket/codec.js'
import { EndFlight, StartFlight } from '../socket/cycle-flights.js'
import type { Flight } from '../socket/flight.js'
import { Inbox } from '../socket/inbox.js'
import { Outbox } from '../socket/outbox.js'
import { shown } from '../socket/server-errors.js'
import type { Command } from '../wire.js'
import { credentialsUnwanted, isTurnedAway, loginOf, turnedAway, wantsCredentials } from './first-words.js'
import { GreetingReader, type ServerGreeting, takeStatsInto } from './greeting.js'
import { isDate, ServerClock } from './server-clock.js'
import { hasMetaCommands } from './release.js'
import { ReplicationProbe } from './replication-probe.js'
import { CR } from '../socket/arrived.js'
import { endHead, endTail, KeptMark, startText, takeEnd, takeStart } from './text-cycle.js'
import { isError, lineReply, storeReply } from './text-answers.js'
import { Read } from './text-read.js'
import { DIRECT_WORDS, OWN_VERSION_WORDS, PORTABLE_WORDS, type TextWords } from './text-words.js'
import { isLockLike, OwnVersions } from './own-versions.js'

// The longest line is an item's, with a key of 250 bytes; a STAT line holds a path at most.
const LONGEST_LINE_BYTES = 8192
// The first letter of an item's line (VALUE, VA), and of no other line that may come where an item is due.
const LETTER_V = 86
const VERSION = 'VERSION '

type Store = Command & { readonly op: 'add' | 'set' | 'cas' }

/**
 * What is due: the whole answer to a flight of a cycle, as long as it goes well; or a line. `read` is what follows a
 * store, to learn its CAS.
 */
type Due = StartFlight | EndFlight | LineDue

type LineDue =
  | { readonly kind: 'store'; readonly flight: Flight; readonly read: Read | undefined }
  | { readonly kind: 'read'; readonly flight: Flight; readonly read: Read }
  | { readonly kind: 'line' | 'deletion'; readonly flight: Flight; readonly read: undefined }
  | { readonly kind: 'own store'; readonly flight: Flight; readonly version: string; readonly own: OwnVersions }
  | { readonly kind: 'revision'; readonly own: OwnVersions }
  | { readonly kind: 'greeting'; readonly take: (line: string) => boolean }

class TextCodec implements Codec {
  readonly #context: CodecContext
  readonly #serverClock: ServerClock
  readonly #inbox = new Inbox()
  readonly #mark = new KeptMark()
  #dues: Due[] = []
  #head = 0
  /** A date was sent by a reading of the server's clock that is too old: the batch asks for the time as well. */
  #asksTime = false
  #words: TextWords
  /** Undefined where the server's versions are taken. */
  readonly #own: OwnVersions | undefined

  readonly #probe: ReplicationProbe | undefined

  /**
   * @param probe undefined: memcached itself is spoken to.
   * @param own where versions are of our own making.
   */
  constructor(context: CodecContext, probe: ReplicationProbe | undefined, own?: OwnVersions) {
    this.#context = context
    this.#probe = probe
    this.#own = own
    this.#words = probe === undefined ? DIRECT_WORDS : own === undefined ? PORTABLE_WORDS : OWN_VERSION_WORDS
    this.#serverClock = new ServerClock(context.clock)
  }

  get due(): number {
    return this.#dues.length - this.#head
  }

  greet(ready: (greeting: ServerGreeting) => void): void {
    const { socket, credentials } = this.#context
    const reader = new GreetingReader()
    const takeLast = this.#statsTaker(reader, ready)
    const ask = (): void => {
      for (const take of [this.#takeVersion, takeStatsInto(reader), takeLast]) this.#dues.push({ kind: 'greeting', take })
      socket.write('version\r\nstats\r\nstats settings\r\n', 'latin1')
    }
    if (this.#probe !== undefined) {
      this.#greetProxy(this.#probe, (isReplicated) => ready(reader.result(isReplicated)))
      return
    }
    if (credentials === undefined) {
      ask()
      return
    }
    // Asked for first, and alone: a server that wants no credentials would store them as an item like any other.
    this.#dues.push({
      kind: 'greeting',
      take: (line) => {
        if (!wantsCredentials(line)) {
          this.#takeVersion(line)
          throw credentialsUnwanted()
        }
        this.#logIn(credentials, ask)
        return true
      },
    })
    socket.write('version\r\n', 'latin1')
  }

  readonly #takeVersion = (line: string): true => {
    if (wantsCredentials(line)) throw new AuthenticationError('the server wants credentials')
    if (isTurnedAway(line)) throw turnedAway()
    if (!line.startsWith(VERSION)) throw new ProtocolError(`this is not memcached's text protocol (${shown(line)})`)
    if (!hasMetaCommands(line.slice(VERSION.length))) this.#words = PORTABLE_WORDS
    return true
  }

  /** A proxy passes `version` on, or answers it, and it passes no `stats` on. */
  #greetProxy(probe: ReplicationProbe, ready: (isReplicated: boolean) => void): void {
    const { socket } = this.#context
    const takeAnswer = (line: string): boolean => {
      const next = probe.take(line)
      if (typeof next === 'string') socket.write(next, 'latin1')
      if (next === true) ready(probe.isReplicated)
      return next === true
    }
    this.#dues.push({ kind: 'greeting', take: takeProxyVersion })
    if (this.#own !== undefined) this.#dues.push({ kind: 'greeting', take: this.#own.taker() })
    this.#dues.push({ kind: 'greeting', take: takeAnswer })
    socket.write(`version\r\n${this.#own?.question ?? ''}${probe.question}`, 'latin1')
  }

  /** memcached -Y: the first command is a `set` of anything, with "user password" as its data. */
  #logIn({ username, password }: Credentials, done: () => void): void {
    this.#dues.push({
      kind: 'greeting',
      take: (line) => {
        if (line !== 'STORED') throw new AuthenticationError(`the server refused the credentials (${shown(line)})`)
        done()
        return true
      },
    })
    this.#context.socket.write(loginOf(username, password))
  }

  encode(flights: readonly Flight[]): Buffer | string {
    const outbox = new Outbox()
    for (const flight of flights) this.#encodeFlight(flight, outbox)
    if (this.#asksTime) this.#askTime(outbox)
    return outbox.take()
  }

  /** A byte is a character of Latin-1, so one string serves for all lines, and offsets are good for both. */
  feed(chunk: Buffer): void {
    const bytes = this.#inbox.take(chunk)
    if (bytes === undefined) return
    const text = bytes.toString('latin1')
    const arrived = { bytes, text, isAscii: isAscii(bytes) }
    let at = 0
    while (at < text.length) {
      let due = this.#dues[this.#head]
      if (due?.kind === 'start' || due?.kind === 'end') {
        const end = due.kind === 'start' ? takeStart(due, arrived, at, this.#mark) : takeEnd(due, arrived, at, this.#words)
        if (end > 0) {
          this.#advance()
          at = end
          continue
        }
        due = this.#unfold(due)
      }
      const lineFeed = text.indexOf('\n', at)
      if (lineFeed < 0) {
        if (text.length - at > LONGEST_LINE_BYTES) throw new ProtocolError('a line without an end')
        this.#inbox.keep(bytes.subarray(at), bytes.length - at + 1)
        return
      }
      if (lineFeed === at || text.charCodeAt(lineFeed - 1) !== CR) throw new ProtocolError('a line that does not end in CR LF')
      if (due === undefined) throw new ProtocolError('a reply that nothing was asked for')
      if (due.kind === 'read' && bytes[at] === LETTER_V) {
        // A value and its line end follow the line; what is not there yet is waited for in one piece.
        const end = due.read.takeItem(arrived, at, lineFeed - 1, due.flight.asOf)
        if (end > bytes.length) {
          this.#inbox.keep(bytes.subarray(at), end - at)
          return
        }
        at = end
        if (this.#words.items.endsAll) continue
        due.read.finish(due.flight)
        this.#advance()
      } else {
        this.#take(due, text.slice(at, lineFeed - 1))
        at = lineFeed + 1
      }
    }
  }

  /** A cycle that did not go plainly well, or whose answer is not all there: what is due of it is line after line. */
  #unfold(flight: StartFlight | EndFlight): LineDue | undefined {
    const all = this.#dues
    const lines: LineDue[] = []
    this.#dues = lines
    // The same as was sent, and it goes nowhere this time.
    this.#encode(flight, new Outbox())
    all.splice(this.#head, 1, ...lines)
    this.#dues = all
    return lines[0]
  }

  #encodeFlight(flight: Flight, outbox: Outbox): void {
    if (flight instanceof StartFlight && this.#words === DIRECT_WORDS) {
      outbox.text(startText(flight.receiver, this.#exptimeOf(flight.receiver.leaseSec)))
      this.#dues.push(flight)
    } else if (flight instanceof EndFlight && this.#own === undefined) {
      const { keys, versions, receiver } = flight
      outbox.text(endHead(flight, this.#exptimeOf(receiver.ttlSec)))
      outbox.value(receiver.value)
      outbox.text(endTail(keys, versions.lockVersion, this.#words))
      this.#dues.push(flight)
    } else {
      this.#encode(flight, outbox)
    }
  }

  #encode(flight: Flight, outbox: Outbox): void {
    const { items } = this.#words
    /** The read that the next `get` of the same key may share: nothing has been written after it. */
    let open: Read | undefined
    for (const command of flight.commands) {
      if (command.op === 'get') {
        if (open?.key !== command.key) {
          this.#ask(open, flight, outbox)
          open = new Read(command.key, items)
        }
        open.gets += 1
        continue
      }
      open = this.#ask(open, flight, outbox)
      switch (command.op) {
        case 'add':
        case 'cas':
        case 'set':
          if (this.#own !== undefined && isLockLike(command)) {
            this.#encodeLock(command, this.#own, flight, outbox)
            break
          }
          if (command.op === 'add' || (command.op === 'cas' && command.wantCas === true)) {
            open = new Read(command.key, items, command)
          }
          this.#dues.push({ kind: 'store', flight, read: open })
          this.#encodeStore(command, outbox)
          if (this.#own !== undefined && command.flags !== undefined) this.#revise(command.key, this.#own, outbox)
          break
        case 'touch': {
          const touch = this.#words.touch(command.key, this.#exptimeOf(command.ttlSec))
          if (this.#words.touchTellsCas) {
            this.#due('line', flight, outbox, touch)
          } else {
            open = new Read(command.key, items, command)
            this.#dues.push({ kind: 'store', flight, read: open })
            outbox.text(touch)
          }
          break
        }
        case 'cad':
          this.#due(this.#words.deletesByStoring ? 'deletion' : 'line', flight, outbox, this.#words.cad(command.key, command.cas.version))
          break
        case 'delete':
          this.#due('line', flight, outbox, `delete ${command.key}\r\n`)
          break
      }
    }
    this.#ask(open, flight, outbox)
  }

  /** Writes a command that is answered with a line. */
  #due(kind: 'line' | 'deletion', flight: Flight, outbox: Outbox, command: string): void {
    outbox.text(command)
    this.#dues.push({ kind, flight, read: undefined })
  }

  /** Writes the read that is open, if any, and opens none. */
  #ask(open: Read | undefined, flight: Flight, outbox: Outbox): undefined {
    if (open === undefined) return
    outbox.text(open.command)
    this.#dues.push({ kind: 'read', flight, read: open })
  }

  #encodeStore(command: Store, outbox: Outbox): void {
    const exptime = this.#exptimeOf(command.ttlSec)
    const version = command.op === 'cas' ? ` ${command.cas.version}` : ''
    const flags = command.flags ?? 0
    outbox.text(`${command.op} ${command.key} ${flags} ${exptime} ${command.value.length}${version}\r\n`)
    outbox.value(command.value)
    outbox.text('\r\n')
  }

  #encodeLock(command: Store & { readonly op: 'add' | 'cas' }, own: OwnVersions, flight: Flight, outbox: Outbox): void {
    const version = own.next()
    outbox.text(own.lockStore(command, this.#exptimeOf(command.ttlSec), version))
    outbox.value(command.value)
    outbox.text('\r\n')
    this.#dues.push({ kind: 'own store', flight, version, own })
  }

  #revise(key: string, own: OwnVersions, outbox: Outbox): void {
    outbox.text(own.revision(key, own.next()))
    this.#dues.push({ kind: 'revision', own })
  }

  #exptimeOf(ttlSec: number): number {
    if (isDate(ttlSec) && this.#serverClock.isStale) this.#asksTime = true
    return this.#serverClock.exptimeOf(ttlSec)
  }

  #askTime(outbox: Outbox): void {
    this.#asksTime = false
    outbox.text('stats\r\n')
    this.#dues.push({ kind: 'greeting', take: this.#statsTaker(new GreetingReader(), () => undefined) })
  }

  /** Takes the lines of a `stats`, sets the server's clock by them, and then tells what they said. */
  #statsTaker(reader: GreetingReader, done: (greeting: ServerGreeting) => void): (line: string) => boolean {
    const take = takeStatsInto(reader)
    return (line) => {
      if (!take(line)) return false
      const greeting = reader.result()
      if (greeting.timeSec !== undefined) this.#serverClock.set(greeting.timeSec)
      done(greeting)
      return true
    }
  }

  /** Takes one line that is not a value's. */
  #take(due: LineDue, line: string): void {
    switch (due.kind) {
      case 'read':
        due.read.takeLine(line, due.flight)
        break
      case 'store': {
        const reply = storeReply(line)
        if (due.read !== undefined) due.read.storeReply = reply
        else if (typeof reply === 'string') due.flight.answerUnclear(reply)
        else due.flight.answer(reply)
        break
      }
      case 'deletion': {
        const reply = storeReply(line)
        // That there is no memory for the nothing that was to be stored does not say that the item is still there.
        if (typeof reply === 'string' || line.startsWith('SERVER_ERROR ')) due.flight.answerUnclear(line)
        else due.flight.answer(reply)
        break
      }
      case 'own store': {
        const reply = due.own.lockReply(line, due.version)
        if (reply === undefined) due.flight.answerUnclear(line)
        else due.flight.answer(reply)
        break
      }
      case 'revision':
        due.own.judge(line)
        break
      case 'line':
        if (isError(line)) due.flight.answerUnclear(line)
        else due.flight.answer(lineReply(line, due.flight.asOf))
        break
      case 'greeting':
        if (!due.take(line)) return
        break
    }
    this.#advance()
  }

  #advance(): void {
    this.#head += 1
    if (this.#head < this.#dues.length) return
    this.#dues = []
    this.#head = 0
  }
}

/** A codec of the text protocol for one connection. */
export function createTextCodec(context: CodecContext): Codec {
  return new TextCodec(context, undefined)
}

/**
 * Makes codecs of the words that proxies pass on.
 *
 * @param probeKey makes keys that nobody else uses, and that the proxy routes as it routes sessions.
 * @param own where versions are of our own making.
 */
export const createPortableCodec =
  (probeKey: () => string, own?: OwnVersions): MakeCodec =>
    (context) => new TextCodec(context, new ReplicationProbe(probeKey()), own)

/** The form of the versions that this codec hands out, as memcached prints them. */
export const TEXT_VERSION = /^\d{1,20}$/

/**
 * Takes what a proxy answers to `version`: its own, or one that it has asked of a server, which may be away. That is no
 * fault of the other servers behind it, and the flights to that one will say so.
 */
function takeProxyVersion(line: string): true {
  if (line.startsWith(VERSION) || line.startsWith('SERVER_ERROR ')) return true
  if (isTurnedAway(line)) throw turnedAway()
  throw new ProtocolError(`this is not memcached's text protocol (${shown(line)})`)
}

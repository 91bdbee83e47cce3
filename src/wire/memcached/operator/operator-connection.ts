/**
 * An operator's own connection to one memcached, for questions about the server itself (`version`, `stats`,
 * `lru_crawler metadump`): no proxy passes them on, and the wire has no commands for them.
 *
 * It always speaks the text protocol. A server that wants SASL speaks only binary, and cannot be asked.
 */
import type { Socket } from 'node:net'
import { NotSupportedError } from '../../../errors.js'
import { describeServer, type ServerAddress } from '../save-path.js'
import type { Clock, Timer } from '../../../system/clock.js'
import { FlightError } from '../../wire.js'
import type { Credentials } from '../../socket/address.js'
import { AuthenticationError } from '../../socket/codec.js'
import { dial, readPemFiles } from '../../socket/dial.js'
import { inTime, type Limits } from '../../socket/in-time.js'
import { reasonIn } from '../../socket/opening.js'
import { shown } from '../../socket/server-errors.js'
import { credentialsUnwanted, isTurnedAway, loginOf, turnedAway, wantsCredentials } from '../first-words.js'

export interface OperatorOptions {
  readonly server: ServerAddress
  readonly clock: Clock
  /** How long the server may stay silent while connecting, and between two lines of an answer, in milliseconds. */
  readonly silenceMs: number
  readonly signal?: AbortSignal | undefined
}

/** The server ended the connection, and nothing that it had sent was wrong. */
export class ClosedByServerError extends Error {
  override readonly name = 'ClosedByServerError'
}

interface Question {
  readonly goesOn: (line: string) => boolean
  readonly take: (line: string) => void
  readonly resolve: (closing: string) => void
  readonly reject: (error: Error) => void
}

/** Lines that are followed by more. Every other line ends an answer. */
const GOES_ON = /^(?:STAT|key=)/
/** What ends an answer to `get`, whatever the lines of its value are. */
const ENDS_VALUE = /^(?:END$|ERROR$|CLIENT_ERROR |SERVER_ERROR )/

const isListed = (line: string): boolean => GOES_ON.test(line)

const LONGEST_LINE = 8192

export class OperatorConnection implements Disposable {
  #question: Question | undefined
  #rest = ''
  #death: Error | undefined
  #timer: Timer | undefined

  readonly #name: string
  readonly #socket: Socket
  readonly #options: OperatorOptions

  private constructor(
    name: string,
    socket: Socket,
    options: OperatorOptions,
  ) {
    this.#name = name
    this.#socket = socket
    this.#options = options
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#receive(text))
    socket.on('error', (error) => this.#destroy(isReset(error) ? closedByServer() : error))
    socket.on('close', () => this.#destroy(closedByServer()))
    options.signal?.addEventListener('abort', this.#giveUp, { once: true })
  }

  /**
   * Connects, authenticates (`-Y`) where the address has credentials, and makes sure that memcached answers in text.
   * Three round trips at most.
   *
   * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: the address wants SASL.
   * @throws FlightError 'not-sent': the server was not reached; `cause` says why (AuthenticationError: wrong
   * credentials).
   */
  static async open(options: OperatorOptions): Promise<OperatorConnection> {
    const { server } = options
    const name = describeServer(server)
    if (server.credentials !== undefined && server.protocol !== 'text') {
      throw new NotSupportedError(
        `${name} is reached with SASL, in the binary protocol, which can neither list keys nor tell everything that text tells. ` +
          'If the server runs with -Y, add ?protocol=text to its address.',
      )
    }
    try {
      const pem = await inTime(toRead(options), () => readPemFiles(server.tls))
      const { socket, readyEvent } = dial(server, pem)
      const connection = new OperatorConnection(name, socket, options)
      try {
        await connection.#ready(readyEvent)
        await connection.#greet()
      } catch (error) {
        connection.close()
        throw error
      }
      return connection
    } catch (cause) {
      options.signal?.throwIfAborted()
      const hint = cause instanceof ClosedByServerError ? ' (it may want TLS, or SASL credentials)' : ''
      throw new FlightError('not-sent', `Cannot ask ${name}: ${reasonIn(cause)}${hint}.`, { cause })
    }
  }

  /**
   * Asks one question. `take` gets the lines of a list (`STAT ...`, `key=...`); the promise resolves with the line that
   * ends the answer (`END`, `VERSION 1.6.18`, `ERROR ...`). Ask the next question only after that.
   *
   * @throws FlightError 'unknown': the connection broke, or the server fell silent.
   */
  async ask(command: string, take: (line: string) => void = () => undefined): Promise<string> {
    try {
      return await this.#exchange(`${command}\r\n`, take)
    } catch (cause) {
      throw new FlightError('unknown', `No answer from ${this.#name}: ${reasonIn(cause)}.`, { cause })
    }
  }

  /**
   * The answer to `stats` or `stats <group>`, by name; empty where the server has no such group. Throws as `ask` does.
   */
  async stats(group = ''): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>()
    await this.ask(`stats ${group}`.trim(), (line) => {
      const [, name, value] = /^STAT (\S+) (.*)$/.exec(line) ?? []
      if (name !== undefined && value !== undefined) found.set(name, shown(value))
    })
    return found
  }

  /** The lines of the text that is found under `key`; undefined where nothing is. Throws as `ask` does. */
  async linesOf(key: string): Promise<readonly string[] | undefined> {
    const lines: string[] = []
    try {
      await this.#exchange(`get ${key}\r\n`, (line) => lines.push(line), (line) => !ENDS_VALUE.test(line))
    } catch (cause) {
      throw new FlightError('unknown', `No answer from ${this.#name}: ${reasonIn(cause)}.`, { cause })
    }
    return lines[0]?.startsWith('VALUE ') === true ? lines.slice(1) : undefined
  }

  /** Closes the connection; a question under way fails. May be called again. */
  close(): void {
    this.#destroy(new Error('the connection was closed'))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  readonly #giveUp = (): void => this.#destroy(new Error('it was given up'))

  #ready(event: 'connect' | 'secureConnect'): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#question = { goesOn: isListed, take: () => undefined, resolve: () => undefined, reject }
      this.#listen()
      this.#socket.once(event, () => {
        this.#question = undefined
        resolve()
      })
    })
  }

  async #greet(): Promise<void> {
    const { credentials } = this.#options.server
    let version = await this.#exchange('version\r\n')
    if (credentials !== undefined) {
      if (version.startsWith('VERSION ')) throw credentialsUnwanted()
      if (wantsCredentials(version)) version = await this.#logIn(credentials)
    }
    if (wantsCredentials(version)) throw new AuthenticationError('the server wants credentials')
    if (isTurnedAway(version)) throw turnedAway()
    if (!version.startsWith('VERSION ')) {
      throw new Error(`it does not speak memcached's text protocol (${shown(version)})`)
    }
  }

  /** Logs in, and returns the server's answer to `version`. */
  async #logIn({ username, password }: Credentials): Promise<string> {
    const answer = await this.#exchange(loginOf(username, password).toString('latin1'))
    if (answer !== 'STORED') throw new AuthenticationError('the server refused the credentials')
    return this.#exchange('version\r\n')
  }

  #exchange(bytes: string, take: (line: string) => void = () => undefined, goesOn = isListed): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#death !== undefined) {
        reject(this.#death)
        return
      }
      this.#question = { goesOn, take, resolve, reject }
      this.#listen()
      this.#socket.write(bytes, 'latin1')
    })
  }

  #receive(text: string): void {
    this.#listen()
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const raw of lines) {
      const line = raw.replace(/\r$/, '')
      const question = this.#question
      if (question === undefined) {
        this.#destroy(new Error('the server sent data that nothing was asked for'))
        return
      }
      if (question.goesOn(line)) {
        question.take(line)
      } else {
        this.#question = undefined
        this.#timer?.cancel()
        question.resolve(line)
      }
    }
    if (this.#rest.length > LONGEST_LINE) this.#destroy(new Error('a line without an end'))
  }

  #listen(): void {
    const { clock, silenceMs } = this.#options
    this.#timer?.cancel()
    this.#timer = clock.setTimer(() => this.#destroy(new Error(`no answer within ${String(silenceMs)} ms`)), silenceMs)
  }

  #destroy(cause: Error): void {
    if (this.#death !== undefined) return
    this.#death = cause
    this.#timer?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#giveUp)
    this.#socket.destroy()
    this.#question?.reject(cause)
    this.#question = undefined
  }
}

const toRead = ({ clock, silenceMs, signal }: OperatorOptions): Limits => ({ clock, limitMs: silenceMs, signal, whyLate: () => new Error('its PEM files could not be read yet') })

const closedByServer = (): Error => new ClosedByServerError('the server closed the connection')

const isReset = (error: Error): boolean => 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')

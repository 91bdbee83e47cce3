import { NotSupportedError } from '../../../errors.js'
import type { OpenOptions } from '../../open-options.js'
import type { Examination, Figures, Finding, OperatedNode, OperateOptions } from '../../operated-store.js'
import { unsupportedIn, type Wire } from '../../wire.js'
import { createMemcachedWire } from '../memcached-wire.js'
import type { ServerAddress, Via } from '../save-path.js'
import { askMcrouter, type Mcrouter } from './mcrouter-questions.js'
import type { OperatedServer } from './operated-server.js'
import { OperatorConnection } from './operator-connection.js'
import { configurationFindings } from './proxy-configuration.js'
import { proxyFindings } from './proxy-trial.js'

/** A key that no session has: ids are not empty. */
const TRIED = '-own-versions'

const OWN_VERSIONS: Finding = {
  code: 'proxy-restart-unseen',
  severity: 'advice',
  message: 'A server behind the proxy that restarts is not seen to: a write that comes late may be taken for the record of another visitor.',
  advice: 'All servers take versions of our own, which close that: write &versions=own behind via=proxy in the save path, everywhere at once.',
}

/** A call takes three flights at the most. */
const CALL_FLIGHTS = 3

/** A proxy, and the servers behind it, which cannot be asked one by one: sessions are played in place of it. */
export class OperatedProxy implements OperatedNode {
  readonly name: string
  readonly #server: OperatedServer
  readonly #address: ServerAddress
  readonly #via: Via
  readonly #options: OperateOptions

  /** @param server the same address, as if memcached itself was there. */
  constructor(server: OperatedServer, address: ServerAddress, via: Via, options: OperateOptions) {
    this.name = server.name
    this.#server = server
    this.#address = address
    this.#via = via
    this.#options = options
  }

  open(options: OpenOptions): Wire {
    return this.#server.open(options)
  }

  keys(): Promise<readonly string[]> {
    return Promise.reject(this.#notAsked('list its keys'))
  }

  async ttlSec(): Promise<undefined> {
    return undefined
  }

  figures(): Promise<Figures> {
    return Promise.reject(this.#notAsked('tell of its servers'))
  }

  async examine(): Promise<Examination> {
    const { silenceMs, signal, proxyConfiguration } = this.#options
    const flightMs = Math.floor(silenceMs / CALL_FLIGHTS)
    const written = proxyConfiguration === undefined ? [] : configurationFindings(this.#via, proxyConfiguration, flightMs)
    const asked = await this.#ask(flightMs)
    const told = [...(asked?.findings ?? []), ...written]
    const name = asked?.version ?? (this.#via === 'proxy' ? "memcached's own proxy" : this.#via)
    const account = { data: { via: this.#via, ...(asked === undefined ? {} : { version: asked.version }) }, about: `through ${name}` }
    // The servers' own versions tell on which of them a key is; ours are random.
    const wire = this.#wire(flightMs, false)
    try {
      const played = await proxyFindings(wire, this.#via)
      const advice = played.length === 0 ? await this.#ownVersionsAdvice(flightMs) : []
      return { ...account, findings: eachOnce([...played, ...told, ...advice]), hasAnswered: true }
    } catch (error) {
      signal.throwIfAborted()
      const isUnsupported = unsupportedIn(error) !== undefined
      return { ...account, findings: isUnsupported ? eachOnce(told) : eachOnce([...told, this.notReached(error)]), hasAnswered: isUnsupported }
    } finally {
      await wire.close()
    }
  }

  /** Versions of our own are asked for, where they are not yet. Servers that are too old for them refuse the connection. */
  async #ownVersionsAdvice(flightMs: number): Promise<readonly Finding[]> {
    if (this.#via !== 'proxy' || this.#address.hasOwnVersions) return []
    const wire = this.#wire(flightMs, true)
    try {
      await wire.flight(TRIED, [{ op: 'get', key: TRIED }])
      return [OWN_VERSIONS]
    } catch {
      return []
    } finally {
      await wire.close()
    }
  }

  #wire(flightMs: number, hasOwnVersions: boolean): Wire {
    return createMemcachedWire({ servers: [{ ...this.#address, hasOwnVersions }], clock: this.#options.clock, flightMs, connections: 1 })
  }

  /** Of the proxies only mcrouter tells of itself. Where it does not answer, the session that is played says why. */
  async #ask(flightMs: number): Promise<Mcrouter | undefined> {
    if (this.#via !== 'mcrouter') return undefined
    try {
      using connection = await OperatorConnection.open({ ...this.#options, server: this.#address })
      return await askMcrouter(connection, flightMs)
    } catch {
      this.#options.signal.throwIfAborted()
      return undefined
    }
  }

  examineUse(wire: Wire, listsKey: string): Promise<readonly Finding[]> {
    return this.#server.examineUse(wire, listsKey)
  }

  notReached(error: unknown): Finding {
    return this.#server.notReached(error)
  }

  #notAsked(what: string): NotSupportedError {
    return new NotSupportedError(`A proxy (${this.name}) cannot ${what}. Ask the servers behind it: name them by --servers.`)
  }
}

/** What is found by playing need not be told by the file, or by the proxy itself, as well. */
const eachOnce = (findings: readonly Finding[]): Finding[] =>
  findings.filter(({ code }, index) => findings.findIndex((other) => other.code === code) === index)

import { NotSupportedError } from '../../../errors.js'
import type { OpenOptions } from '../../open-options.js'
import type { Examination, Figures, Finding, OperatedNode, OperateOptions } from '../../operated-store.js'
import { unsupportedIn, type Wire } from '../../wire.js'
import type { Via } from '../save-path.js'
import type { OperatedServer } from './operated-server.js'
import { configurationFindings } from './proxy-configuration.js'
import { proxyFindings } from './proxy-trial.js'

/** A call takes three flights at the most. */
const CALL_FLIGHTS = 3

/** A proxy, and the servers behind it, which cannot be asked one by one: sessions are played in place of it. */
export class OperatedProxy implements OperatedNode {
  readonly name: string
  readonly #server: OperatedServer
  readonly #via: Via
  readonly #options: OperateOptions

  /** @param server the same address, as if memcached itself was there. */
  constructor(server: OperatedServer, via: Via, options: OperateOptions) {
    this.name = server.name
    this.#server = server
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
    const { clock, silenceMs, signal, proxyConfiguration } = this.#options
    const flightMs = Math.floor(silenceMs / CALL_FLIGHTS)
    const written = proxyConfiguration === undefined ? [] : configurationFindings(this.#via, proxyConfiguration, flightMs)
    const account = { data: { via: this.#via }, about: `through ${this.#via === 'proxy' ? "memcached's own proxy" : this.#via}` }
    const wire = this.open({ clock, flightMs, connections: 1 })
    try {
      const played = await proxyFindings(wire, this.#via)
      // What is found by playing need not be told by the file as well.
      const more = written.filter(({ code }) => played.every((finding) => finding.code !== code))
      return { ...account, findings: [...played, ...more], hasAnswered: true }
    } catch (error) {
      signal.throwIfAborted()
      const isUnsupported = unsupportedIn(error) !== undefined
      return { ...account, findings: isUnsupported ? written : [...written, this.notReached(error)], hasAnswered: isUnsupported }
    } finally {
      await wire.close()
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

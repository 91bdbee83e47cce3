import type { Finding } from '../../../wire/operated-store.js'
import { type PhpServers, memcachedServers, memcacheServers } from './php-servers.js'
import { intOf, isOn, type PhpSettings } from './php-settings.js'

export interface PhpFinding extends Finding {
  readonly setting: string
  /** What the setting must be in php.ini; undefined where php.ini is not what is to be changed. */
  readonly change?: string
}

export type Extension = 'memcached' | 'memcache'

/** Settings as rules ask for them. */
export class Php {
  constructor(
    readonly settings: PhpSettings,
    /** In place of what was read: what the doctor says that it must be. */
    private readonly changes: ReadonlyMap<string, string> = new Map(),
  ) {}

  text(name: string): string {
    return this.changes.get(name) ?? this.settings.values.get(name) ?? ''
  }

  int(name: string): number {
    return intOf(this.text(name))
  }

  isOn(name: string): boolean {
    return isOn(this.text(name))
  }

  /** The settings that count: of two extensions, those of the one that keeps the sessions. */
  get names(): string[] {
    const other = this.extension === 'memcache' ? 'memcached.' : 'memcache.'
    return [...this.settings.values.keys()].filter((name) => !name.startsWith(other))
  }

  has(name: string): boolean {
    return this.names.includes(name)
  }

  get extension(): Extension | undefined {
    const handler = this.text('session.save_handler')
    return handler === 'memcached' || handler === 'memcache' ? handler : undefined
  }

  get servers(): PhpServers {
    if (this.extension !== 'memcache') return memcachedServers(this.text('session.save_path'))
    return memcacheServers(this.text('memcache.session_save_path') || this.text('session.save_path'))
  }

  /** As it will be when all is changed that was found. */
  with(findings: readonly PhpFinding[]): Php {
    const changes = findings.flatMap(({ setting, change }) => (change === undefined ? [] : [[setting, change] as const]))
    return new Php(this.settings, new Map(changes))
  }
}

import { UsageError } from '../usage-error.js'
import type { Place } from '../place.js'
import { EXIT, type Report } from '../report.js'

/** `latchkey proxy-config`: writes how a proxy is set that stands before the servers. Asks nobody. */
export function proxyConfig({ store }: Place, proxy: { readonly name: string; readonly purpose: string } | undefined): Report {
  const { name = '', purpose = '' } = proxy ?? {}
  const configuration = store.proxyConfiguration?.(name, purpose)
  if (configuration === undefined) {
    throw new UsageError('There is no such configuration: see "latchkey proxy-config --help" for the proxies, and what --for each can be set.')
  }
  return { exitCode: EXIT.fine, data: { proxy: name, for: purpose, configuration }, lines: [configuration.trimEnd()] }
}

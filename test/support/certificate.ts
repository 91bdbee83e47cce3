/** Certificates for the tests of TLS, made by the openssl command. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** PEM files. Who trusts `cert` trusts a server at 127.0.0.1, or by the name cache.example, that has it. */
export interface Certificate {
  readonly key: string
  readonly cert: string
}

/** Written as `server.key` and `server.pem`, or by another name. */
export function writeCertificate(directory: string, name = 'server'): Certificate {
  const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)]
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const subject = ['-subj', '/CN=cache.example', '-addext', 'subjectAltName=DNS:cache.example,IP:127.0.0.1']
  try {
    execFileSync('openssl', [...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'pipe' })
  } catch (cause) {
    throw new Error('These tests make certificates with the openssl command: install the package "openssl".', { cause })
  }
  return { key, cert }
}

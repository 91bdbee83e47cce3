import { inspect } from 'node:util'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { Keyring } from '../../../src/session/records/keyring.js'
import { failureOf, formatOf, NEW, OLD } from './kit.js'

/** What a caller without types may give. */
const managerWith = (encryption: unknown): SessionManager =>
  new SessionManager(Object.assign<SessionManagerOptions, object>({}, { encryption }))

describe('encryption.keys', () => {
  it.each<[string, unknown, string]>([
    ['no object', true, 'encryption is a boolean; it must be an object.'],
    ['null', null, 'encryption is null; it must be an object.'],
    ['no keys', {}, 'encryption must be { keys'],
    ['an empty list', { keys: [] }, 'encryption.keys is empty'],
    ['a key that is a string', { keys: ['secret'] }, 'encryption.keys[0] is a string; it must be an object.'],
    ['a key without an id', { keys: [{ secret: OLD.secret }] }, 'encryption.keys[0].id must be 1 to 32'],
    ['an id with a space', { keys: [{ id: 'a b', secret: OLD.secret }] }, 'encryption.keys[0].id must be'],
    ['an id of 33 characters', { keys: [{ id: 'x'.repeat(33), secret: OLD.secret }] }, 'encryption.keys[0].id must be'],
    ['one id twice', { keys: [OLD, { ...NEW, id: OLD.id }] }, 'encryption.keys[1].id "2025" is there twice'],
    ['no secret', { keys: [{ id: 'a' }] }, 'encryption.keys[0].secret (id "a") must be a string or a Buffer'],
    ['31 characters', { keys: [OLD, { id: 'a', secret: 'abcdefghijklmnopqrstuvwxyz01234' }] }, 'encryption.keys[1].secret (id "a") is too short: it must have at least 32'],
    ['31 bytes', { keys: [{ id: 'a', secret: Buffer.from('abcdefghijklmnopqrstuvwxyz01234') }] }, 'is too short'],
    ['one character over and over', { keys: [{ id: 'a', secret: '0'.repeat(64) }] }, 'repeats itself: it must be random'],
    ['a buffer of zeros', { keys: [{ id: 'a', secret: Buffer.alloc(32) }] }, 'repeats itself'],
    ['acceptPlain that is not a flag', { keys: [OLD], acceptPlain: 'yes' }, 'encryption.acceptPlain must be true or false.'],
    ['a name that is misspelt', { keys: [OLD], acceptplain: true }, 'There is no option "encryption.acceptplain". Did you mean "encryption.acceptPlain"?'],
  ])('%s is refused', (_what, encryption, message) => {
    const error = failureOf(() => managerWith(encryption))
    expect(error.code).toBe('LATCHKEY_INVALID_OPTION')
    expect(error.message).toContain(message)
    expect(error.message).not.toContain('abcdefghijklmnop')
  })

  it('32 characters and 32 bytes are enough', () => {
    expect(() => managerWith({ keys: [{ id: 'a', secret: 'abcdefghijklmnopqrstuvwxyz012345' }, NEW] })).not.toThrow()
  })

  it('no secret, and no key that is made of it, is seen by inspect(), in JSON or in errors', async () => {
    const secret = 'a secret that is never to be seen'
    const bytes = Buffer.from('another one that is never to be seen')
    const encryption = { keys: [{ id: 'a', secret }, { id: 'b', secret: bytes }] }
    const manager = new SessionManager({ encryption })
    await manager.run('sid', (session) => {
      session.data['word'] = 'never to be seen either'
    })
    const whole = { depth: Infinity, showHidden: true, getters: true }
    const format = inspect(formatOf(encryption), whole)
    const keyring = inspect(Keyring.of(encryption), whole)
    expect(format).toContain('Seal')
    expect(keyring).toContain('Keyring')
    const shown = inspect(manager, whole)
    for (const text of [format, keyring, shown, inspect(manager.store(), { depth: Infinity })]) {
      for (const one of [secret, 'never to be seen either', bytes.toString('hex'), bytes.toString('base64'), bytes.toString('hex').replace(/../g, '$& ').trim()]) {
        expect(text).not.toContain(one)
      }
    }
    await manager.close()
  })

  it('a buffer that is wiped after it was given does not take the key with it', () => {
    const text = '0123456789abcdefghijklmnopqrstuv'
    const secret = Buffer.from(text)
    const wiped = formatOf({ keys: [{ id: 'a', secret }] })
    secret.fill(0)
    const same = formatOf({ keys: [{ id: 'a', secret: text }] })
    expect(same.unpack('sid', wiped.pack('sid', 'data')).text).toBe('data')
  })
})

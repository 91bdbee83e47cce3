/** A name that is no option is refused by every public function that takes options, with the one that was meant. */
import { SessionManager, SessionStore } from 'latchkey'
import { withSession } from 'latchkey/fetch'
import { createInspector } from 'latchkey/inspector'
import { instrumentOpenTelemetry } from 'latchkey/opentelemetry'
import { instrumentPrometheus } from 'latchkey/prometheus'
import { playRaces, VirtualClock } from 'latchkey/testing'
import { afterAll, describe, expect, it } from 'vitest'

const manager = new SessionManager()
const mutex = manager.mutex('report')
const store = manager.store()
afterAll(() => manager.close())

/** As plain JavaScript would call it: the options are the last argument. */
type Call = (options: unknown) => unknown
const calling = (on: object, method: string, ...args: unknown[]): Call => (options) => {
  const called: unknown = Reflect.get(on, method)
  return typeof called === 'function' ? Reflect.apply(called, on, [...args, options]) : undefined
}
const making = (made: new (options: never) => unknown): Call => (options) => Reflect.construct(made, [options])
const work = (): void => undefined

const CALLS: readonly (readonly [what: string, misspelt: string, meant: string, call: Call])[] = [
  ['new SessionManager', 'savepath', 'savePath', making(SessionManager)],
  ['encryption', 'acceptplain', 'encryption.acceptPlain', (encryption) => making(SessionManager)({ encryption })],
  ['a key of encryption', 'sercet', 'encryption.keys[0].secret', (key) => making(SessionManager)({ encryption: { keys: [key] } })],
  ['compression', 'aboveBtyes', 'compression.aboveBytes', (compression) => making(SessionManager)({ compression })],
  ['manager.lock', 'singal', 'signal', calling(manager, 'lock', 'id')],
  ['manager.start', 'readonly', 'readOnly', calling(manager, 'start', 'id')],
  ['manager.run', 'lifetimesec', 'lifetimeSec', calling(manager, 'run', 'id', work)],
  ['manager.health', 'withinms', 'withinMs', calling(manager, 'health')],
  ['manager.close', 'grace', 'graceMs', calling(manager, 'close')],
  ['mutex.lock', 'singal', 'signal', calling(mutex, 'lock')],
  ['mutex.run', 'singal', 'signal', calling(mutex, 'run', work)],
  ['mutex.tryLock', 'lable', 'label', calling(mutex, 'tryLock')],
  ['SessionStore.closeAll', 'gracems', 'graceMs', calling(SessionStore, 'closeAll')],
  ['store.read', 'singal', 'signal', calling(store, 'read', 'id')],
  ['store.validateId', 'lable', 'label', calling(store, 'validateId', 'id')],
  ['store.write', 'lifetimesec', 'lifetimeSec', calling(store, 'write', 'id', '')],
  ['store.save', 'lifetimesec', 'lifetimeSec', calling(store, 'save', 'id', '')],
  ['store.updateTimestamp', 'lifetimesec', 'lifetimeSec', calling(store, 'updateTimestamp', 'id', '')],
  ['session.regenerate', 'keepold', 'keepOld', (options) => manager.run('id', (session) => calling(session, 'regenerate')(options))],
  ['createInspector', 'gaurd', 'guard', (options) => createInspector(manager, Object(options) as object)],
  ['replay', 'lable', 'replay.label', (replay) => calling({ createInspector }, 'createInspector', manager)({ replay })],
  ['instrumentOpenTelemetry', 'tracerprovider', 'tracerProvider', calling({ instrumentOpenTelemetry }, 'instrumentOpenTelemetry', manager)],
  ['instrumentPrometheus', 'nmae', 'name', calling({ instrumentPrometheus }, 'instrumentPrometheus', manager)],
  ['playRaces', 'middlewar', 'middleware', calling({ playRaces }, 'playRaces')],
  ['new VirtualClock', 'nowms', 'nowMs', making(VirtualClock)],
  ['regenerate of a request', 'keepold', 'keepOld', regenerating],
]

/** Of a session that is new: nothing of it is stored yet. */
async function regenerating(options: unknown): Promise<void> {
  const serve = withSession({ manager, secret: 'keyboard cat' }, async (_request, session) => {
    await calling(session, 'regenerate')(options)
    return new Response()
  })
  await serve(new Request('http://shop.example/'))
}

const outcomeOf = async (call: Call, options: unknown): Promise<unknown> => {
  try {
    return await call(options)
  } catch (error) {
    return error
  }
}

describe.each(CALLS)('%s', (_what, misspelt, meant, call) => {
  it(`${misspelt} is refused: ${meant} was meant`, async () => {
    expect(await outcomeOf(call, { [misspelt]: 1 })).toMatchObject({
      code: 'LATCHKEY_INVALID_OPTION',
      message: expect.stringContaining(`Did you mean "${meant}"?`) as string,
    })
  })
})

it('nothing was sent for any of them, but what a session needs that is regenerated', () => {
  expect(manager.locks()).toEqual([])
  expect(manager.stats().acquired).toBe(1)
})

describe('options that are no object', () => {
  it.each([
    ['new SessionManager(null)', making(SessionManager), null, 'What was given as the options is null; it must be an object.'],
    ['new SessionManager(11211)', making(SessionManager), 11_211, 'What was given as the options is a number; it must be an object.'],
    ['mutex.lock(null)', calling(mutex, 'lock'), null, 'What was given as the options is null; it must be an object.'],
    ['compression: true', (options) => making(SessionManager)({ compression: options }), true, 'compression is a boolean; it must be an object.'],
  ] satisfies [string, Call, unknown, string][])('%s', async (_what, call, options, message) => {
    expect(await outcomeOf(call, options)).toMatchObject({ code: 'LATCHKEY_INVALID_OPTION', message })
  })

  it('a save path in their place is not shown, and it is said how it is given', async () => {
    expect(await outcomeOf(making(SessionManager), 'tcp://ada:secret@127.0.0.1')).toMatchObject({
      code: 'LATCHKEY_INVALID_OPTION',
      message: "The save path is an option: new SessionManager({ savePath: 'tcp://...' }).",
    })
  })
})

describe('a value that is refused is shown as what it is', () => {
  it.each([
    ['a flag', { locking: 'false' }, "locking is 'false' (a string); it must be true or false."],
    ['a number', { lifetimeSec: '60' }, "lifetimeSec is '60' (a string); it must be a number from 1 to 3153600000."],
    ['a list of servers', { savePath: ['tcp://a', 'tcp://b'] }, 'savePath is an object; it must be a string.'],
    ['a part of a number', { connections: 1.5 }, 'connections is 1.5; it must be a whole number.'],
    ['compression', { compression: { aboveBytes: '1' } }, "compression.aboveBytes is '1' (a string); it must be a whole number from 0 to 1073741824."],
    ['a save path in place of a client, without its password', { client: 'redis://ada:secret@host' }, "client: 'redis://…@host' (a string) is no client of a Redis."],
  ])('%s', async (_what, options, message) => {
    expect(await outcomeOf(making(SessionManager), options)).toMatchObject({ code: 'LATCHKEY_INVALID_OPTION', message })
  })

  it.each<[unknown, string]>([
    ['5', "lifetimeSec is '5' (a string); it must be a number from 1 to 3153600000."],
    [null, 'lifetimeSec is null; it must be a number from 1 to 3153600000.'],
    [NaN, 'lifetimeSec is NaN; it must be a number from 1 to 3153600000.'],
  ])('the lifetime of a call, %j', async (lifetimeSec, message) => {
    expect(await outcomeOf(calling(manager, 'start', 'id'), { lifetimeSec })).toMatchObject({ message })
  })
})

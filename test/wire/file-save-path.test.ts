import { describe, expect, it } from 'vitest'
import { SessionManager } from '../../src/index.js'
import { readFilePath } from '../../src/wire/file/save-path.js'

const read = (savePath: string): unknown =>
  readFilePath(savePath, (_where, problem) => {
    throw new Error(problem)
  })

describe('the save path of a store on disk', () => {
  it('names a directory, and how it is kept', () => {
    const defaults = { survives: 'process', maxMiB: undefined, gcSec: 60 }
    expect(read('file:/var/lib/app/sessions')).toEqual({ directory: '/var/lib/app/sessions', ...defaults })
    expect(read('file:///var/lib/app')).toEqual({ directory: '/var/lib/app', ...defaults })
    expect(read('file:sessions')).toEqual({ directory: 'sessions', ...defaults })
    expect(read('file:/a%20b%3Fc')).toEqual({ directory: '/a b?c', ...defaults })
    expect(read('file:/a?survives=power&maxMiB=100&gcSec=0')).toEqual({ directory: '/a', survives: 'power', maxMiB: 100, gcSec: 0 })
  })

  it.each([
    ['file:', 'no directory is named'],
    ['file:?survives=power', 'no directory is named'],
    ['file://host/share', 'a directory of another machine'],
    ['file:/a%', 'a % that begins no character'],
    ['file:/a%00b', 'a NUL in the name'],
    ['file:/a?survives=fire', 'survives is "process" or "power"'],
    ['file:/a?maxMiB=0', 'maxMiB is a whole number from 1 to 1000000'],
    ['file:/a?maxMiB=1.5', 'maxMiB is a whole number from 1 to 1000000'],
    ['file:/a?gcSec=', 'gcSec is a whole number from 0 to 86400'],
    ['file:/a?size=3', 'there are only survives, maxMiB and gcSec'],
  ])('refuses %s', (savePath, problem) => {
    expect(() => read(savePath)).toThrow(problem)
    expect(() => new SessionManager({ savePath })).toThrow(expect.objectContaining({ code: 'LATCHKEY_INVALID_SAVE_PATH' }))
  })
})

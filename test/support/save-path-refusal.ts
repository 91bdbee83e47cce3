import { InvalidSavePathError } from '../../src/errors.js'
import { readSavePath } from '../../src/wire/open-wire.js'

/** Why a save path is refused; '' where it is not. */
export function refusalOfPath(savePath: string): string {
  try {
    readSavePath(savePath)
  } catch (error) {
    if (error instanceof InvalidSavePathError) return error.message
  }
  return ''
}

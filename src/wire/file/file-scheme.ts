import type { WireScheme } from '../scheme.js'
import { createFileWire } from './file-wire.js'
import { operateFile } from './operated-file.js'
import { FORM, readFilePath } from './save-path.js'

/** `file:/var/lib/myapp/sessions`: a directory that the processes of one machine share. */
export const fileScheme: WireScheme = {
  beginnings: ['file:'],
  form: FORM,
  read(savePath, refuse) {
    const settings = readFilePath(savePath, refuse)
    return {
      open: ({ clock, flightMs, isOfProcesses, mustExist, onWarning }) =>
        createFileWire({ settings, clock, flightMs, isOfProcesses, mustExist, onWarning }),
      operate: (options) => operateFile(settings, options),
    }
  },
}

import { cryptoLimits } from '../../crypto/limits.ts'
import { concatBytes } from '../../util/bytes.ts'
import { raceAbort } from '../../util/signal.ts'
import { CliError } from '../base/failure.ts'

/**
 * Returns all bytes of standard input.
 * @throws {CliError} `message_too_large`, without reading the rest.
 */
export async function readStandardInput(signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const read = async () => {
    for await (const chunk of process.stdin) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > cryptoLimits.maxContentBytes) throw tooLarge()
    }
  }
  await raceAbort(read(), signal)
  return concatBytes(...chunks)
}

const tooLarge = (): CliError =>
  new CliError(
    'refused',
    'message_too_large',
    `standard input has more than ${cryptoLimits.maxContentBytes} bytes, the limit of one message; nothing was sent`,
  )

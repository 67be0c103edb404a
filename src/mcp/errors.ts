/** A message cannot be answered or acknowledged yet, because the model has not seen its whole text. */
export class NotReadError extends Error {
  override readonly name = 'NotReadError'
  readonly code = 'not_read'

  constructor(id: string) {
    super(`only the beginning of ${id} was shown: call read_messages with ids ["${id}"] first`)
  }
}

/** Converts a thrown value to an `Error`: JavaScript code may throw any value. */
export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))

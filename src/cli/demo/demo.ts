import type { Output } from '../output.ts'

export async function playDemo(_output: Output): Promise<void> {}

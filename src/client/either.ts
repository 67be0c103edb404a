/**
 * The types for a compiler that does not know where the program will run: TypeScript with `moduleResolution: bundler`
 * sets neither the condition `node` nor `browser`. Only its declarations are in the package. A program gets the exact
 * types with `aimessage/node` or `aimessage/browser`.
 */
export * from './browser.ts'
export {
  decryptState,
  encryptState,
  exportAgent,
  importAgent,
  type NodeClientOptions,
  openClient,
  openDirectoryStore,
} from './node.ts'

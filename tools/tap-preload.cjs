// Preload of every process that `tap run` starts (`node-arg` in .taprc).
require('./end-with-parent.cjs')
const Module = require('node:module')
const { existsSync } = require('node:fs')
const { join, relative } = require('node:path')

const root = join(__dirname, '..')

// tap's coverage recorder sends every loaded module through a hooks thread, parses all source maps and puts itself into all children.
// Coverage is off, and the recorder would take more CPU than most tests.
process.setSourceMapsEnabled = () => {}
globalThis[Symbol.for('@tapjs/processinfo.ProcessInfoNodeData')] = { files: [], sources: {} }
for (const name of ['register', 'registerHooks']) {
  const original = Module[name]
  Module[name] = (...args) => {
    if (!new Error().stack.includes('@tapjs/processinfo')) return original?.(...args)
  }
}
for (const name of Object.keys(process.env)) if (name.startsWith('_TAPJS_PROCESSINFO')) delete process.env[name]

// tap follows every promise of a test, to say in which subtest a stray error was thrown. That takes half of the CPU of tests with many promises.
// Without it, a stray error ends the file, which fails, with the stack of the error.
const asyncHooks = require('node:async_hooks')
const { createHook } = asyncHooks
const noHook = { enable: () => noHook, disable: () => noHook }
asyncHooks.createHook = callbacks => (new Error().stack.includes('async-hook-domain') ? noHook : createHook(callbacks))
Module.syncBuiltinESMExports()

// Node resolves the file named on the command line through `Module._findPath`. A test runs from its bundle: see scripts/build-tests.js.
const findPath = Module._findPath
Module._findPath = (request, paths, isMain) => findPath((isMain && findBundle(request)) || request, paths, isMain)

function findBundle(file) {
  const name = relative(root, file)
  if (!/^test\/.*\.test\.ts$/.test(name)) return undefined
  const bundle = join(root, '.build', name.replace(/\.ts$/, '.js'))
  return existsSync(bundle) ? bundle : undefined
}

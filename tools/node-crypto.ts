import { nodeProvider } from '../src/crypto/node-provider.ts'
import { useProvider } from '../src/crypto/provider.ts'

// Programs that open a `Client` without `src/client/node.ts`, its entry point, import this file to get Node's crypto.
useProvider(nodeProvider)

/** The process of the delay proxies: one listener for each link, all with the same delay. Ends when its parent does. */
import { DelayProxy } from './delay-proxy.ts';
import type { ProxyAnswer, ProxyRequest } from './messages.ts';
import { NO_TRAFFIC } from './traffic.ts';

const proxies: DelayProxy[] = [];

process.on('message', (request: ProxyRequest) => {
  void answer(request).then((answered) => process.send?.(answered));
});
process.on('disconnect', () => process.exit());

async function answer(request: ProxyRequest): Promise<ProxyAnswer> {
  switch (request.ask) {
    case 'listen': {
      const proxy = await DelayProxy.listen(request.targetPort);
      proxies.push(proxy);
      return { port: proxy.port };
    }
    case 'delay':
      for (const proxy of proxies) proxy.rttMs = request.rttMs;
      return { done: true };
    case 'traffic':
      return { traffic: proxies.find(({ port }) => port === request.port)?.traffic() ?? NO_TRAFFIC };
  }
}

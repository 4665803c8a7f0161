// offline.js - a service worker: the page from the network where there is one, else as it was last seen
const CACHE = 'sessrec-shop';
const FILES = ['./', 'shop.css', 'page.js', 'drawings.js', 'visits.js', 'worker.js', 'sessrec.js',
    'sessrec.wasm', 'sessrec_train.wasm'];

addEventListener('install', (event) => {
    skipWaiting();
    event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});
addEventListener('activate', (event) => event.waitUntil(clients.claim()));

async function answer(request) {
    const cache = await caches.open(CACHE);
    try {
        const response = await fetch(request);
        if (response.ok && request.method === 'GET') await cache.put(request, response.clone());
        return response;
    } catch (error) {
        const known = await cache.match(request, { ignoreSearch: true });
        if (!known) throw error;
        return known;
    }
}
addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

"use strict";
// Records in parts, each of which is a whole file. What was not sent yet lies in this browser, slice by slice.
(() => {
  const $ = (id) => document.getElementById(id);
  const page = $("record");
  if (!page) return;
  const RENEW_MS = 5 * 60_000, AGAIN_MS = 5_000, PACKET_MS = 60;
  const type = ["audio/webm;codecs=opus", "audio/mp4"].find((kind) => window.MediaRecorder?.isTypeSupported(kind));
  const waiting = new Map(); // parts to send, by their address
  let session = "", number = 0, stream = null, sound = null, current = null, timers = [], sending = null, ending = Promise.resolve();

  const say = (what, bad = false) => {
    $("state").textContent = what;
    $("state").classList.toggle("bad", bad);
  };
  const pause = (time) => new Promise((done) => setTimeout(done, time));
  const root = document.body.dataset.root;
  const api = (name) => `${root}/api/record/${encodeURIComponent(name)}`;

  // What is not sent yet outlives the page.
  const database = new Promise((done, failed) => {
    const asked = indexedDB.open("sessionscribe", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("parts", { keyPath: ["session", "number"] });
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
  const store = async (mode, work) => {
    const transaction = (await database).transaction("parts", mode);
    const asked = work(transaction.objectStore("parts"));
    return new Promise((done, failed) => {
      transaction.oncomplete = () => done(asked.result);
      transaction.onabort = () => failed(transaction.error);
    });
  };
  const keep = (part) => store("readwrite", (parts) => parts.put(part)).catch(() =>
    say("This browser cannot store parts: leave the page open until everything has been sent.", true));

  // One part after the other; what does not arrive is sent again, what is refused stays here.
  const arrives = async ({ address, blob }) => {
    let answer;
    try { answer = await fetch(address, { method: "PUT", body: blob }); } catch { return false; }
    if (answer.ok) return true;
    if (answer.status >= 500) return false;
    throw new Error((await answer.json().catch(() => ({}))).error ?? `The server refused it (${answer.status}).`);
  };
  const send = () => (sending ??= (async () => {
    for (const part of waiting.values()) {
      while (!await arrives(part)) {
        say(`The server does not answer; ${waiting.size} part${waiting.size > 1 ? "s wait" : " waits"} here.`, true);
        await pause(AGAIN_MS);
      }
      waiting.delete(part.address);
      await store("readwrite", (parts) => parts.delete([part.session, part.number])).catch(() => {});
      if (current) say("Recording. Everything up to a moment ago is on the server.");
    }
  })().finally(() => { sending = null; }));
  const finish = async (name) => {
    try {
      await send();
      const answer = await post(`/api/record/${encodeURIComponent(name)}/finish`, {});
      if (!answer.ok) throw new Error(answer.error);
      say(`${name} is on the server and has been added to the sessions.`);
    } catch (error) {
      say(`${name}: ${error.message}. ${waiting.size} parts are kept in this browser.`, true);
    }
  };

  // A recorder for each part. The next one begins a packet (60 ms) before the last one ends, whose last packet
  // is lost if it is not full.
  const begin = () => {
    const file = `chunk-${String(number).padStart(3, "0")}.${type.includes("mp4") ? "mp4" : "webm"}`;
    const part = { session, number: number++, address: `${api(session)}/${file}`, blob: null };
    const recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: 64_000 });
    const slices = [];
    let kept = Promise.resolve();
    recorder.addEventListener("dataavailable", (event) => {
      if (!event.data.size) return;
      slices.push(event.data);
      part.blob = new Blob(slices, { type: "application/octet-stream" });
      const now = { ...part };
      kept = kept.then(() => keep(now));
    });
    const ended = new Promise((done) => recorder.addEventListener("stop", async () => {
      await kept;
      if (part.blob) waiting.set(part.address, part);
      done();
    }));
    recorder.start(1000 * page.dataset.sliceS);
    return { end: () => { if (recorder.state !== "inactive") recorder.stop(); return ended; } };
  };
  const cut = () => {
    const before = current;
    current = begin();
    if (before) ending = pause(PACKET_MS).then(before.end);
    ending.then(send).catch((error) => say(error.message, true));
  };

  // A recording never waits for the lock.
  const whose = () => ({ userId: "browser", sessionId: session });
  const lock = async () => {
    const answer = await post("/api/batch/lock", whose());
    if (answer.error) say(`Recording, but batches were not told to wait: ${answer.error}`, true);
  };
  const level = () => {
    const context = new AudioContext(), analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize), began = Date.now();
    timers.push(setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      $("level").value = Math.max(...samples.map(Math.abs));
      $("time").textContent = new Date(Date.now() - began).toISOString().slice(11, 19);
    }, 200));
    return context;
  };
  const start = async () => {
    session = $("name").value.trim();
    const answer = await fetch(api(session)).then((found) => found.json());
    if (answer.error) throw new Error(answer.error);
    number = answer.next;
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, channelCount: 1 } });
    stream.getTracks().forEach((track) => track.addEventListener("ended", stop));
    sound = level();
    cut();
    timers.push(setInterval(cut, 1000 * page.dataset.partS), setInterval(lock, RENEW_MS));
    navigator.wakeLock?.request("screen").catch(() => {});
    say("Recording.");
    await lock();
  };
  const stop = async () => {
    if (!current) return;
    const last = current;
    current = null;
    timers.splice(0).forEach(clearInterval);
    $("stop").disabled = true;
    await Promise.all([ending, last.end()]);
    stream.getTracks().forEach((track) => track.stop());
    sound.close();
    say("Sending the rest.");
    post("/api/batch/unlock", whose());
    await finish(session);
    $("start").disabled = $("name").disabled = false;
  };
  page.addEventListener("submit", async (event) => {
    event.preventDefault();
    $("start").disabled = $("name").disabled = true;
    try {
      await start();
      $("stop").disabled = false;
      $("stop").focus();
    } catch (error) {
      say(`Not recording: ${error.message}`, true);
      $("start").disabled = $("name").disabled = false;
    }
  });
  $("stop").addEventListener("click", stop);
  addEventListener("beforeunload", (event) => { if (current || waiting.size) event.preventDefault(); });
  addEventListener("pagehide", () => {
    if (current) navigator.sendBeacon(`${root}/api/batch/unlock`, new Blob([JSON.stringify(whose())], { type: "application/json" }));
  });

  // One tab at a time, since it sends what an earlier one has left.
  const ready = async () => {
    const now = new Date();
    now.setMinutes(now.getMinutes() - now.getTimezoneOffset());
    $("name").value = now.toISOString().slice(0, 16).replace("T", "-").replace(":", "");
    for (const part of await store("readonly", (parts) => parts.getAll()).catch(() => [])) waiting.set(part.address, part);
    for (const name of new Set([...waiting.values()].map((part) => part.session))) {
      say(`Sending the rest of ${name}.`);
      await finish(name);
    }
    $("start").disabled = false;
  };
  if (!window.isSecureContext || !navigator.mediaDevices) say("Browsers allow the microphone only over https or on localhost.", true);
  else if (!type) say("This browser cannot record.", true);
  else {
    navigator.locks.request("sessionscribe-record", { ifAvailable: true }, (held) => {
      if (!held) { say("Another tab of this browser is recording.", true); return undefined; }
      return ready().then(() => new Promise(() => {}));
    });
  }
})();

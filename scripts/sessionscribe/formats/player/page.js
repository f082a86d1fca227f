"use strict";
// The exported page: the player, with audio from beside it or from a file that the reader opens.
(() => {
  const $ = (id) => document.getElementById(id), root = document.documentElement, audio = $("audio");
  root.classList.add("scripted");
  const player = createPlayer();
  player.showPeaks(Uint8Array.from(atob($("overview").dataset.peaks), (letter) => letter.charCodeAt(0)));
  const silent = () => player.say("There is no audio beside this page. Open it with “Audio …” to listen.");
  audio.lastElementChild.addEventListener("error", silent);
  if (audio.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) silent();
  audio.addEventListener("loadedmetadata", () => player.say(""));
  $("open").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (!file) return;
    audio.replaceChildren();
    audio.src = URL.createObjectURL(file);
  });

  // Speakers can be left out, and so can what was removed.
  for (const button of document.querySelectorAll(".speakers button")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") === "false";
      button.setAttribute("aria-pressed", String(shown));
      for (const part of document.querySelectorAll(`.said[data-who="${button.dataset.who}"]`)) part.hidden = !shown;
      player.find();
    });
  }
  $("removed")?.addEventListener("change", (event) => {
    document.body.classList.toggle("without-removed", !event.target.checked);
  });
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    player.draw();
  });
})();

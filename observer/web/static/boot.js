// Says so when a file of the page itself cannot be loaded: then nothing runs, nothing is verified, and nothing would say it.
addEventListener(
  "error",
  (event) => {
    if (!(event.target instanceof HTMLScriptElement)) return;
    const tell = () => {
      const waiting = document.querySelector("main .waiting");
      if (waiting === null) return;
      waiting.className = "unanswered";
      waiting.setAttribute("role", "alert");
      waiting.textContent =
        "Not all of this page's own files could be loaded, so nothing is verified and nothing is shown. Load it again.";
    };
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", tell);
    else tell();
  },
  true, // such errors do not bubble
);

# shellcheck shell=bash
# The browser of the browser test. The platform needs none, so make up does not install it.

stage_browser() {
  if [ -x /usr/bin/chromium ]; then
    note 'chromium is installed already'
  # Without it the browser test fails with that reason, and the others run.
  elif have apt-get && (apt_install chromium) && [ -x /usr/bin/chromium ]; then
    note 'chromium installed'
  else
    note 'no chromium: install it as /usr/bin/chromium for its test'
  fi
}

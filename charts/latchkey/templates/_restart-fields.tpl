{{/* Written by `npm run schema`: the fields of the config that no reload brings into force. */}}
{{- define "latchkey.restartFields" -}}["listen.address","admin.address","listen.tls","listen.maxHeaderBytes","workers"]{{- end }}

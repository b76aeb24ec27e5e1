{{/*
What the brokers want to see beside an address, for each pod that speaks to them: two Secrets as files of one folder.
*/}}

{{- define "pipeline.kafka.folder" -}}/etc/baton-kafka{{- end }}

{{- define "pipeline.kafka.mount" -}}
{{- if or .Values.kafka.passwordSecret.name .Values.kafka.caSecret.name }}
- name: kafka-access
  mountPath: {{ include "pipeline.kafka.folder" . }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "pipeline.kafka.volume" -}}
{{- if or .Values.kafka.passwordSecret.name .Values.kafka.caSecret.name }}
- name: kafka-access
  projected:
    defaultMode: 0440
    sources:
      {{- with .Values.kafka.passwordSecret }}{{ if .name }}
      - secret:
          name: {{ .name }}
          items: [{ key: {{ .key | quote }}, path: password }]
      {{- end }}{{ end }}
      {{- with .Values.kafka.caSecret }}{{ if .name }}
      - secret:
          name: {{ .name }}
          items: [{ key: {{ .key | quote }}, path: ca.crt }]
      {{- end }}{{ end }}
{{- end }}
{{- end }}

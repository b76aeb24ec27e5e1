{{/*
What every pod of the apps has in common, written once because there are eight of them. None sets `command`: it would
replace the image's entrypoint, tini, which passes signals on and buries the dead.
*/}}

{{/* The pod's part. Takes (dict "app" "..." "token" true|false). */}}
{{- define "pipeline.pod" -}}
serviceAccountName: {{ .app }}
automountServiceAccountToken: {{ .token }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* The container's part. Takes a boolean: whether files of the image may be replaced. */}}
{{- define "pipeline.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ not . }}
capabilities:
  drop: [ALL]
{{- end }}

{{/* The image. Takes the root. */}}
{{- define "pipeline.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* How a driver makes its executors. Takes (dict "root" $ "executors" <how many>). */}}
{{- define "pipeline.driver" -}}
- name: BATON_EXECUTORS
  value: {{ .executors | quote }}
- name: BATON_EXECUTOR_IMAGE
  value: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag }}"
- name: BATON_EXECUTOR_TEMPLATE
  value: /etc/baton/executor.yaml
- name: BATON_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: BATON_POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
{{- end }}
